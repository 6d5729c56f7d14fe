//! The rules of PLUGIN_NAME.

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Post {
    #[serde(default)]
    title: String,
}

fn plugin() -> Plugin {
    Plugin::new("PLUGIN_NAME", env!("CARGO_PKG_VERSION")).rule(Rule::before_write("no-shouting", "posts").on([Create, Update]), no_shouting)
}

ironrule_rules::export!(plugin);

fn no_shouting(event: &Event) -> Answer {
    let Post { title } = event.after()?;
    if title == title.to_uppercase() && title != title.to_lowercase() {
        log!("refused the title `{title}`");
        return Err(Rejection::invalid().violation("/title", "title.shouting", "do not shout"));
    }
    patch(json!({ "words": title.split_whitespace().count() }))
}
