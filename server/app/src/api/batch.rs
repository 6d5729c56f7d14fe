//! `POST /api/batch`: several writes to any collections in one transaction.

use poem::{Endpoint, Request, Response, http::Method};

use super::{
    records::write::{json, parameters, terms, told},
    visitor,
};
use crate::{Error, records::batch};

/// `/api/batch`
pub(super) struct Batch;

impl Endpoint for Batch {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        if request.method() != Method::POST {
            return Err(Error::MethodNotAllowed { allow: "POST".to_owned() }.into());
        }
        let [] = parameters(&request, [])?;
        let body = json(&mut request, &call).await?;
        let terms = terms(&call, &request, &body)?;
        Ok(told(&batch::batch(&call, &body, &terms).await?)?)
    }
}
