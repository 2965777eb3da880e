//! What guestprep writes and reads, as one JSON Schema (draft 2020-12).

use schemars::generate::SchemaSettings;
use serde_json::json;

use crate::catalog::Config;
use crate::daemon::Readiness;
use crate::model::{Plan, Report};

/// `checks/schema.json`: a document is one of these, and each stands under `$defs` by its name.
pub fn schema() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let documents = [
        generator.subschema_for::<Report>(),
        generator.subschema_for::<Plan>(),
        generator.subschema_for::<Readiness>(),
        generator.subschema_for::<Config>(),
    ];
    let document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "guestprep",
        "description": "A report, a plan, the daemon's readiness, or the configuration (as TOML). \
                        Written by `guestprep generate schema > checks/schema.json`.",
        "anyOf": documents,
        "$defs": generator.take_definitions(true),
    });
    format!("{document:#}\n")
}
