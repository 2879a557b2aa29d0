//! `features`: each crate compiles without its features, and with each of them alone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    Failed,
    run::{cargo, packages, run, say},
};

/// Checks every crate that has features.
pub(crate) fn features() -> Result<(), Failed> {
    let mut count = 0;
    for package in &packages()? {
        let name = package["name"].as_str().unwrap_or_default();
        for features in choices(package) {
            say(&format!("features: {name}, {}", if features.is_empty() { "none" } else { &features }));
            let alone = ["--no-default-features", "--features", &features];
            run(cargo().args(["check", "--quiet", "--locked", "-p", name]).args(alone))?;
            count += 1;
        }
    }
    say(&format!("features: {count} choices compile"));
    Ok(())
}

/// No feature, then each alone, for crates that have any. What the default names as a whole is what all other checks
/// build, so a feature that is the whole default is left out.
fn choices(package: &Value) -> Vec<String> {
    let Some(all) = package["features"].as_object() else { return Vec::new() };
    let default: BTreeSet<&str> =
        all.get("default").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let named: Vec<String> =
        all.keys().filter(|f| *f != "default" && default != BTreeSet::from([f.as_str()])).cloned().collect();
    if all.is_empty() { Vec::new() } else { [vec![String::new()], named].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_each_feature_alone_are_chosen() {
        let package = |features: &str| serde_json::from_str(&format!(r#"{{"features": {features}}}"#)).unwrap();
        assert_eq!(choices(&package("{}")), Vec::<String>::new());
        assert_eq!(choices(&package(r#"{"default": ["a"], "a": [], "b": []}"#)), ["", "b"]);
        assert_eq!(choices(&package(r#"{"default": ["a", "b"], "a": [], "b": []}"#)), ["", "a", "b"]);
    }
}
