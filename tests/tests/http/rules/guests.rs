//! Plugins in a few instructions, for what no compiler would write. The frame around them is that of the tests of the crate `plugins`.

use std::fs;

use tests::repository;

const MANIFEST: &str = r#"{
    "name": "wat", "version": "1.0.0",
    "rules": [
        { "name": "r", "hook": "before-write", "collections": ["notes"], "operations": ["create"] },
        { "name": "later", "hook": "after-commit" }
    ],
    "grants": { "read": ["notes"], "query": ["notes"], "write": ["notes", "audit"] },
    "settings": [{ "name": "known", "default": "{}" }]
}"#;

const READ_MANIFEST: &str = "(i32.store (i32.const 256) (i32.const 1024)) (i32.store (i32.const 260) (i32.const %LENGTH%)) (i32.const 256)";

const REALLOC: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at)";

/// A component as text.
pub struct Guest<'a> {
    /// Instructions of the rule.
    pub run: &'a str,
    /// Further members of its module.
    pub members: &'a str,
    /// Instructions that answer the manifest.
    pub manifest: &'a str,
    /// Pages of memory at the start.
    pub pages: u32,
    /// Members of the component.
    pub component: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { run: "(call $accept)", members: "", manifest: READ_MANIFEST, pages: 16, component: "" }
    }
}

impl Guest<'_> {
    pub fn text(&self) -> Vec<u8> {
        let path = repository().join("plugins/tests/rules/guest.wat");
        let frame = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let escaped: String = MANIFEST.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let words = [
            ("%RUN%", self.run),
            ("%MEMBERS%", self.members),
            ("%READ_MANIFEST%", self.manifest),
            ("%REALLOC%", REALLOC),
            ("%COMPONENT_IMPORTS%", self.component),
            ("%MODULE_IMPORTS%", ""),
            ("%WITH%", ""),
            ("%MANIFEST_TEXT%", &escaped),
            ("%LENGTH%", &MANIFEST.len().to_string()),
            ("%PAGES%", &self.pages.to_string()),
            ("@notes", "(i32.const 20) (i32.const 5)"),
            ("@n1", "(i32.const 32) (i32.const 2)"),
            ("@audit", "(i32.const 40) (i32.const 5)"),
            ("@object", "(i32.const 16) (i32.const 2)"),
            ("@answer", "(i32.const 768)"),
        ];
        words.iter().fold(frame, |text, (word, meaning)| text.replace(word, meaning)).into_bytes()
    }
}
