//! The OpenAPI document.

use super::*;

#[test]
fn the_document_names_every_operation_once_and_its_problems() {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let operations: Vec<_> = paths.values().flat_map(|path| path.as_object().unwrap().values()).collect();
    let mut ids: Vec<_> =
        operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), operations.len());
    assert_eq!(operations.len(), 60);
    for operation in operations {
        let (signed, refuses) = (operation["security"].is_array(), operation["responses"]["401"].is_object());
        // Sign-in by name takes no token; its 401 means that the sessions were revoked.
        assert_eq!(signed || operation["operationId"] == "dev_token", refuses, "{operation}");
    }
    assert_eq!(DOCUMENT["info"]["license"]["name"], "Apache-2.0");
}

#[test]
fn every_operation_names_what_it_refuses_and_shows_it() {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let has = |status: &str| responses.contains_key(status);
            let (is_probe, is_socket) = (path.starts_with("/health/"), path == "/calls/ws");
            assert_eq!(has("429"), !is_probe, "{method} {path}");
            let takes =
                operation["parameters"].is_array() || operation["requestBody"].is_object() || is_socket;
            assert_eq!(has("400"), takes, "{method} {path}");
            let takes_body = operation["requestBody"].is_object();
            assert_eq!((has("413"), has("415")), (takes_body, takes_body), "{method} {path}");
            for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
                let examples =
                    response["content"]["application/problem+json"]["examples"].as_object().unwrap();
                assert!(!examples.is_empty());
                for (code, example) in examples {
                    assert_eq!(example["value"]["code"], *code);
                    assert_eq!(example["value"]["status"].to_string(), *status);
                }
            }
        }
    }
    let join = &DOCUMENT["paths"]["/calls/{id}/join"]["post"]["responses"]["403"];
    let codes: Vec<_> =
        join["content"]["application/problem+json"]["examples"].as_object().unwrap().keys().collect();
    assert_eq!(codes, ["call_locked", "forbidden", "removed"]);
}

#[test]
fn an_example_has_the_fields_of_its_schema() {
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    let mut seen = Vec::new();
    for (name, schema) in schemas {
        let (Some(example), Some(fields)) = (schema["example"].as_object(), schema["properties"].as_object())
        else {
            continue;
        };
        assert!(example.keys().all(|key| fields.contains_key(key)), "{name}");
        let required = schema["required"].as_array().into_iter().flatten();
        assert!(required.map(|key| key.as_str().unwrap()).all(|key| example.contains_key(key)), "{name}");
        seen.push(name.as_str());
    }
    assert!(["Call", "CreateCall", "AddMember"].iter().all(|name| seen.contains(name)), "{seen:?}");
    assert_eq!(schemas["Call"]["example"].as_object().unwrap().len(), 21);
    assert!(schemas["ProblemType"]["enum"].as_array().unwrap().contains(&json!("/problems/rate-limited")));
}
