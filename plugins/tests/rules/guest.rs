//! Small guests as text, each with one habit. A component that keeps the contract is put around the instructions of its
//! rule, so that a test says nothing but what is special.

use plugins::{Error, Plugin, Runtime};

/// A plugin that is written in instructions.
pub struct Guest {
    /// Instructions of `run`; the address of the event is `$event`, the address of the answer stays on the stack.
    pub run: String,
    /// Further members of the module.
    pub members: String,
    /// Instructions of `manifest`; leave the address of pointer and length on the stack.
    pub manifest: String,
    /// Text of the manifest.
    pub text: String,
    /// Instructions of `realloc`, with the parameters `$old $from $align $size`.
    pub realloc: String,
    /// The memory: pages at the start.
    pub pages: u32,
    /// Imports of the component beyond the contract.
    pub imports: String,
    /// The same for the module.
    pub module_imports: String,
    /// The same where the module is instantiated.
    pub with: String,
}

const MANIFEST: &str = r#"{
    "name": "wat", "version": "1.0.0",
    "rules": [
        { "name": "r", "hook": "before-write", "collections": ["notes"], "operations": ["create"] },
        { "name": "later", "hook": "after-commit" }
    ],
    "grants": { "read": ["notes"], "query": ["notes"], "write": ["notes", "audit"] },
    "settings": [{ "name": "known", "default": "{\"a\":1}" }]
}"#;

/// Every function that a guest can call, as an instruction.
pub const CALLS: [(&str, &str); 11] = [
    ("get", "(call $get @notes @n1 @answer)"),
    ("get-many", "(call $get-many @notes (i32.const 0) (i32.const 0) @answer)"),
    ("query", "(call $query @notes @object @answer)"),
    ("create", "(call $create @audit @object @answer)"),
    ("update", "(call $update @notes @n1 @object @answer)"),
    ("delete", "(call $delete @audit @n1 @answer)"),
    ("enqueue", "(call $enqueue @job @work @object @answer)"),
    ("log", "(call $log (i32.const 1) @notes @object)"),
    ("now", "(drop (call $now))"),
    ("random", "(call $random (i32.const 8) @answer)"),
    ("setting", "(call $setting @known @answer)"),
];

impl Default for Guest {
    fn default() -> Self {
        Self {
            run: "(call $accept)".to_owned(),
            members: String::new(),
            manifest: "(i32.store (i32.const 256) (i32.const 1024)) (i32.store (i32.const 260) (i32.const %LENGTH%)) (i32.const 256)"
                .to_owned(),
            text: MANIFEST.to_owned(),
            realloc: "(local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get $size)))
                (local.get $at)"
                .to_owned(),
            pages: 16,
            imports: String::new(),
            module_imports: String::new(),
            with: String::new(),
        }
    }
}

impl Guest {
    pub fn runs(instructions: &str) -> Self {
        Self { run: instructions.to_owned(), ..Self::default() }
    }

    pub fn with_members(instructions: &str, members: &str) -> Self {
        Self { members: members.to_owned(), ..Self::runs(instructions) }
    }

    pub async fn load(&self, runtime: &Runtime) -> Result<Plugin, Error> {
        runtime.load(self.component().into_bytes()).await
    }

    /// The text of the component.
    pub fn component(&self) -> String {
        let escaped: String = self.text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let words = [
            ("%RUN%", &*self.run),
            ("%MEMBERS%", &*self.members),
            ("%READ_MANIFEST%", &*self.manifest),
            ("%REALLOC%", &*self.realloc),
            ("%COMPONENT_IMPORTS%", &*self.imports),
            ("%MODULE_IMPORTS%", &*self.module_imports),
            ("%WITH%", &*self.with),
            ("%MANIFEST_TEXT%", &*escaped),
            ("%LENGTH%", &*self.text.len().to_string()),
            ("%PAGES%", &*self.pages.to_string()),
            ("@notes", "(i32.const 20) (i32.const 5)"),
            ("@n1", "(i32.const 32) (i32.const 2)"),
            ("@audit", "(i32.const 40) (i32.const 5)"),
            ("@object", "(i32.const 16) (i32.const 2)"),
            ("@job", "(i32.const 48) (i32.const 3)"),
            ("@work", "(i32.const 64) (i32.const 16)"),
            ("@known", "(i32.const 96) (i32.const 5)"),
            ("@answer", "(i32.const 768)"),
        ];
        words.iter().fold(COMPONENT.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }
}

const COMPONENT: &str = include_str!("guest.wat");
