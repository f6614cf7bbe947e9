//! The parity gate: what can be reached from the core's front door must stand in `tests/parity.json`, which the tests of Python and Node hold
//! their packages to. It reads the core's sources, so that nobody has to remember to add a line.

#[path = "parity/source.rs"]
mod source;

use serde_json::Value;
use source::{Core, Kind, snake};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static CORE: LazyLock<Core> = LazyLock::new(Core::read);
static PARITY: LazyLock<Value> = LazyLock::new(|| read(&folder().join("parity.json")));

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Null => BTreeSet::new(),
        _ => panic!("no list of names: {value}"),
    }
}

/// Whether `name` (an item, or an item's `field` as `Item.field`) has no counterpart, and why is said.
fn without(name: &str) -> bool {
    PARITY["without"][name].as_str().is_some_and(|why| !why.is_empty())
}

/// Those of the names of the item `of` that must have a counterpart.
fn wanted(of: &str, all: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    all.into_iter().filter(|name| !without(&format!("{of}.{name}"))).collect()
}

fn reachable() -> BTreeSet<String> {
    CORE.reachable(&["Syntra", "SyntraBuilder", "Ask"])
}

#[test]
fn every_method_of_the_front_door_is_listed_and_reachable_from_the_bindings() {
    let mut front_door = CORE.functions("Syntra");
    for made in ["builder", "open", "from_env"] {
        assert!(front_door.remove(made).is_some(), "Syntra::{made} has gone");
    }
    let listed = PARITY["methods"].as_object().unwrap();
    let found: BTreeSet<String> = front_door.keys().cloned().collect();
    assert_eq!(found, names(&PARITY["methods"]), "tests/parity.json must list the methods of Syntra");
    for (name, parameters) in &front_door {
        assert_eq!(names(&listed[name]), parameters.iter().cloned().collect(), "the parameters of Syntra::{name}");
    }
    let bridged: BTreeSet<String> = syntra_core::bridge::METHODS.iter().map(|&m| m.to_owned()).collect();
    assert_eq!(found, bridged, "syntra_core::bridge::METHODS must list the methods of Syntra");
}

#[test]
fn every_method_is_called_by_a_behaviour_case_in_all_languages() {
    let mut called = BTreeSet::new();
    for entry in fs::read_dir(folder().join("cases")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let file = read(&path);
            let cases = file["cases"].as_array().unwrap().iter();
            let steps = cases.flat_map(|case| case["steps"].as_array().unwrap());
            called.extend(steps.filter_map(|step| step["do"].as_str().map(str::to_owned)));
        }
    }
    let idle: Vec<String> = names(&PARITY["methods"]).difference(&called).cloned().collect();
    assert!(idle.is_empty(), "no case in tests/cases calls {idle:?}");
}

#[test]
fn every_option_of_a_question_is_listed() {
    let Kind::Struct(fields) = &CORE.items["Ask"].kind else { panic!("Ask is no struct") };
    assert_eq!(*fields, names(&PARITY["ask"]));
}

#[test]
fn every_setting_of_the_builder_is_listed() {
    let known: BTreeSet<String> = ["settings", "builder"].into_iter().flat_map(|key| names(&PARITY[key])).collect();
    let offered: BTreeSet<String> = CORE.functions("SyntraBuilder").into_keys().collect();
    let missing: Vec<&String> = offered.difference(&known).collect();
    assert!(missing.is_empty(), "the bindings have no setting for {missing:?}");
    for (name, setting) in PARITY["builder"].as_object().unwrap() {
        assert!(offered.contains(name), "SyntraBuilder::{name} has gone");
        assert!(names(&PARITY["settings"]).contains(setting.as_str().unwrap()), "{setting} is no setting");
    }
}

#[test]
fn every_kind_of_error_is_listed() {
    let Kind::Enum(kinds) = &CORE.items["ErrorKind"].kind else { panic!("ErrorKind is no enum") };
    assert_eq!(*kinds, names(&PARITY["errors"]));
}

#[test]
fn everything_that_can_be_reached_is_listed_with_its_fields() {
    let mut problems = Vec::new();
    let reachable = reachable();
    for name in &reachable {
        let (room, all) = match &CORE.items[name].kind {
            _ if without(name) => continue,
            Kind::Struct(fields) => ("types", wanted(name, fields.iter().cloned())),
            Kind::Enum(variants) => ("enums", wanted(name, variants.iter().cloned())),
            Kind::Trait => {
                let listed = &PARITY["traits"][name];
                let setting = listed["setting"].as_str().unwrap_or_default();
                if !names(&PARITY["settings"]).contains(setting) {
                    problems.push(format!("the trait {name}: which setting takes an object of the host's for it?"));
                }
                let methods = wanted(name, CORE.functions(name).into_keys());
                if methods != names(&listed["methods"]) {
                    problems.push(format!("the methods of the trait {name} are {methods:?}"));
                }
                continue;
            }
            Kind::Alias => {
                problems.push(format!("{name}, another name for something"));
                continue;
            }
        };
        if all != names(&PARITY[room][name]) || all.is_empty() {
            problems.push(format!("{room}: {name} has {all:?}"));
        }
    }
    for room in ["types", "enums", "traits"] {
        problems.extend(
            names(&PARITY[room]).difference(&reachable).map(|name| format!("{room}: {name} cannot be reached")),
        );
    }
    assert!(
        problems.is_empty(),
        "tests/parity.json must list it, or say in `without` why not:\n{}",
        problems.join("\n")
    );
}

#[test]
fn everything_built_in_is_listed_with_its_options() {
    let mut problems = Vec::new();
    let traits = names(&PARITY["traits"]);
    let mut all: BTreeSet<String> = traits.iter().flat_map(|name| CORE.implementors(name)).collect();
    all.extend(["HttpOptions", "FastEmbedOptions"].map(String::from));
    for name in all.iter().filter(|name| !without(name)) {
        let listed = &PARITY["built_in"][name];
        if listed["is"].as_str().is_none() {
            problems.push(format!("{name} is nothing that a binding can be told to use"));
        }
        let options = CORE.functions(name).into_keys().filter(|function| function.starts_with("with_"));
        let options = wanted(name, options);
        if options != names(&listed["options"]) {
            problems.push(format!("the options of {name} are {options:?}"));
        }
    }
    problems.extend(names(&PARITY["built_in"]).difference(&all).map(|name| format!("{name} has gone")));
    assert!(
        problems.is_empty(),
        "tests/parity.json must list it, or say in `without` why not:\n{}",
        problems.join("\n")
    );
}

#[test]
fn what_has_no_counterpart_is_still_there() {
    for name in names(&PARITY["without"]) {
        let (item, part) = name.split_once('.').map_or((name.as_str(), None), |(item, part)| (item, Some(part)));
        let found = CORE.items.get(item).is_some_and(|it| match (&it.kind, part) {
            (_, None) => true,
            (Kind::Struct(parts) | Kind::Enum(parts), Some(part)) if parts.contains(part) => true,
            (_, Some(part)) => CORE.functions(item).contains_key(part),
        });
        assert!(found, "`without` names {name}, which has gone");
        assert!(without(&name), "why has {name} no counterpart?");
    }
    assert_eq!(snake("RateLimit"), "rate_limit");
}
