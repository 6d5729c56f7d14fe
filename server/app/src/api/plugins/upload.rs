//! The code of a plugin as the body of a request: a component, or JavaScript text.

use bytes::Bytes;
use model::{Action, Pointer, Violation};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiRequest,
    payload::{ParsePayload, Payload},
    registry::{MetaSchema, MetaSchemaRef},
};

use super::super::{payload::read, visitor};
use crate::{
    Error,
    plugins::{Code, OBJECT},
};

/// Bytes that an uploaded component may have.
pub(in crate::api) const COMPONENT_MAX_BYTES: usize = 25 << 20;

/// Bytes that an uploaded text may have.
const TEXT_MAX_BYTES: usize = plugins::javascript::SOURCE_MAX_BYTES;

/// What may be uploaded.
#[derive(ApiRequest)]
pub(super) enum Upload {
    /// A WebAssembly component.
    Component(Component),
    /// The text of a rule.
    Text(Text),
}

impl Upload {
    pub(super) fn code(self) -> Result<Code, Error> {
        match self {
            Upload::Component(Component(bytes)) => Ok(Code::Component(bytes.to_vec())),
            Upload::Text(Text(bytes)) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => Ok(Code::JavaScript(text)),
                Err(error) => {
                    Err(Error::Body(Violation::new(Pointer::root(), "body.malformed", format!("the text is not UTF-8: {error}"))))
                }
            },
        }
    }
}

/// A WebAssembly component.
pub(super) struct Component(Bytes);

impl Payload for Component {
    const CONTENT_TYPE: &'static str = "application/wasm";

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { format: Some("binary"), ..MetaSchema::new("string") }))
    }
}

impl ParsePayload for Component {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        received(request, body, COMPONENT_MAX_BYTES).await.map(Self)
    }
}

/// The text of a rule in JavaScript.
pub(super) struct Text(Bytes);

impl Payload for Text {
    const CONTENT_TYPE: &'static str = "text/javascript";

    fn check_content_type(content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(essence.as_str(), "text/javascript" | "application/javascript")
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }
}

impl ParsePayload for Text {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        received(request, body, TEXT_MAX_BYTES).await.map(Self)
    }
}

/// Who may not install anything must not make the server read 25 MiB first.
async fn received(request: &Request, body: &mut RequestBody, max: usize) -> poem::Result<Bytes> {
    visitor::call(request).await?.authorize(Action::Create, OBJECT)?;
    Ok(read(body.take()?, request.header("content-length"), max).await?)
}
