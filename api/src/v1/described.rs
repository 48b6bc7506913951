//! What the description says of every operation alike: how an error looks, what a subject is, and which data types there are.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, ParameterStyle, PathItem};
use utoipa::openapi::schema::{AnyOf, ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use super::SUBJECT;
use crate::fhir;
use crate::reading::all_types;

pub(super) struct Described;

impl Modify for Described {
    fn modify(&self, openapi: &mut OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let fhir = path.starts_with("/fhir/");
            for operation in operations(item) {
                errors(operation, fhir);
                for parameter in operation.parameters.iter_mut().flatten() {
                    if let RefOr::T(parameter) = parameter {
                        specify(parameter, fhir);
                    }
                }
            }
        }
        for schema in openapi.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
            // What has no tag is told apart by what it holds, and the longer one is also a case of the shorter.
            if let RefOr::T(Schema::OneOf(either)) = schema {
                *schema = RefOr::T(Schema::AnyOf(AnyOf {
                    items: std::mem::take(&mut either.items),
                    description: either.description.take(),
                    ..AnyOf::default()
                }));
            }
            if let RefOr::T(Schema::Object(object)) = schema
                && let Some(RefOr::T(Schema::Object(subject))) = object.properties.get_mut("subject")
            {
                subject.pattern = Some(SUBJECT.to_owned());
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// Errors that an operation names are its own; any other may come from the token, the request, or what stands behind this server.
fn errors(operation: &mut Operation, fhir: bool) {
    let (kind, schema) = if fhir { (fhir::JSON, "OperationOutcome") } else { ("application/problem+json", "ProblemDocument") };
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), RefOr::T(Response::new("An error")));
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && !status.starts_with('2')
        {
            response.content.insert(kind.to_owned(), RefOr::T(Content::new(Some(Ref::from_schema_name(schema)))));
        }
    }
}

fn specify(parameter: &mut Parameter, fhir: bool) {
    match (&*parameter.name, fhir) {
        ("subject", false) | ("id", true) => {
            parameter.schema =
                Some(ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).pattern(Some(SUBJECT)).into());
        }
        // Several in one word.
        ("type", false) => {
            let one = ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).enum_values(Some(all_types()));
            parameter.schema = Some(ArrayBuilder::new().items(one).min_items(Some(1)).into());
            parameter.style = Some(ParameterStyle::Form);
            parameter.explode = Some(false);
        }
        _ => {}
    }
}
