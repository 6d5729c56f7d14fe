//! `GET /api/records/{collection}/aggregate`: reads the parameters, and writes the groups.

use poem::{Endpoint, IntoResponse, Request, Response, http::Method};

use super::{pairs, parameter, unknown};
use crate::{
    Error,
    api::visitor,
    records::aggregate::{self, Question},
};

/// `/api/records/{collection}/aggregate`
pub(in crate::api) struct Aggregate;

impl Endpoint for Aggregate {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let collection = parameter(&request, "collection")?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Error::MethodNotAllowed { allow: "GET, HEAD".to_owned() }.into());
        }
        let question = question(&request)?;
        let groups = aggregate::aggregate(&call, &collection, &question).await?;
        let json = groups.json()?;
        let answer = Response::builder().content_type("application/json").header("x-total-count", groups.total.to_string());
        Ok(answer.body(json).into_response())
    }
}

fn question(request: &Request) -> Result<Question, Error> {
    let mut question = Question::default();
    let mut violations = model::Violations::default();
    for (name, value) in pairs(request) {
        let slot = match name.as_str() {
            "select" => &mut question.select,
            "group" => &mut question.group,
            "filter" => &mut question.filter,
            "having" => &mut question.having,
            "sort" => &mut question.sort,
            "limit" => &mut question.limit,
            "offset" => &mut question.offset,
            _ => {
                unknown(&name, &mut violations);
                continue;
            }
        };
        if slot.replace(value).is_some() {
            violations.add(model::Pointer::field(&name), "query.value", format!("`{name}` stands twice"));
        }
    }
    violations.or(question).map_err(Error::Query)
}
