use plugins::{Error, Hook, Operation};

use crate::setup::{grants, hostile, order_guard, runtime};

async fn refused(wasm: &[u8]) -> Error {
    match runtime().await.load(wasm.to_vec()).await {
        Ok(plugin) => panic!("`{}` was accepted", plugin.name()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_plugin_says_what_it_is_and_wishes() {
    let plugin = order_guard().await;
    assert_eq!((plugin.name(), plugin.version()), ("order-guard", "1.0.0"));
    assert_eq!(plugin.digest().len(), 64);
    assert_eq!(plugin.manifest().grants, grants(&["products"], &["products"]));

    let rule = plugin.manifest().rule("place-order").expect("declared");
    assert!(rule.applies(Hook::BeforeWrite, Operation::Create, "orders"));
    assert!(!rule.applies(Hook::BeforeWrite, Operation::Update, "orders"));
    assert!(!rule.applies(Hook::BeforeWrite, Operation::Create, "products"));
    assert_ne!(plugin.digest(), hostile().await.digest());
}

#[tokio::test]
async fn nothing_outside_the_contract_can_be_imported() {
    let error = refused(include_bytes!("../fixtures/foreign_import.wat")).await;
    assert!(matches!(&error, Error::ForeignImport(name) if name == "wasi:sockets/network@0.2.3"), "{error}");

    let error = refused(include_bytes!("../fixtures/unknown_interface.wat")).await;
    assert!(matches!(&error, Error::ForeignImport(name) if name == "ironrule:rules/network@1.0.0"), "{error}");
}

#[tokio::test]
async fn another_contract_version_is_named() {
    let error = refused(include_bytes!("../fixtures/wrong_version.wat")).await;
    assert_eq!(error.to_string(), "the plugin was built for contract 2.0.0 (`ironrule:rules/records@2.0.0`), this server has 1.0.0");
}

#[tokio::test]
async fn a_component_keeps_the_contract_or_is_refused() {
    for fixture in
        [include_bytes!("../fixtures/wrong_type.wat").as_slice(), include_bytes!("../fixtures/no_export.wat").as_slice(), b"(component)"]
    {
        let error = refused(fixture).await;
        assert!(matches!(error, Error::Contract(_)), "{error}");
    }
}

#[tokio::test]
async fn only_components_are_compiled() {
    for bytes in [b"".as_slice(), b"\0asm\x01\0\0\0", b"garbage", include_bytes!("../fixtures/core_module.wat")] {
        let error = refused(bytes).await;
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

#[tokio::test]
async fn machine_code_is_never_loaded() {
    let code = wasmtime::Engine::default().precompile_component(b"(component)").expect("an empty component compiles");
    let error = refused(&code).await;
    assert!(matches!(error, Error::Precompiled), "{error}");
}

#[tokio::test]
async fn the_size_is_limited() {
    let error = refused(&vec![0; (25 << 20) + 1]).await;
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
