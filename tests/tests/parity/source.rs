//! What the core offers, read from its sources: the public items that can be reached from the front door.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// Names of types that something mentions.
type Names = BTreeSet<String>;

/// What a public item is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Its public fields.
    Struct(BTreeSet<String>),
    /// Its variants, as JSON spells them.
    Enum(BTreeSet<String>),
    /// A trait that a host may implement.
    Trait,
    /// Another name for something.
    Alias,
}

/// A public item of the core.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// The types in its public fields, variants or signatures.
    mentions: Names,
}

#[derive(Debug)]
struct Function {
    /// The names of its parameters, but `self`.
    parameters: Vec<String>,
    /// The types in its signature.
    mentions: Names,
}

impl Function {
    fn new(signature: &syn::Signature) -> Self {
        let named = |input: &syn::FnArg| match input {
            syn::FnArg::Typed(argument) => match &*argument.pat {
                syn::Pat::Ident(name) => Some(name.ident.to_string()),
                _ => None,
            },
            syn::FnArg::Receiver(_) => None,
        };
        Self {
            parameters: signature.inputs.iter().filter_map(named).collect(),
            mentions: mentions(|m| m.visit_signature(signature)),
        }
    }
}

/// The public items, functions and implementations of the core.
#[derive(Debug, Default)]
pub(crate) struct Core {
    pub(crate) items: BTreeMap<String, Item>,
    /// The public functions in `impl` blocks and traits, by type.
    functions: BTreeMap<String, BTreeMap<String, Function>>,
    /// Types by the traits of the core that they implement.
    implementors: BTreeMap<String, BTreeSet<String>>,
}

/// Rooms that are not what the core offers: test helpers, and the bridge itself.
const NOT_OFFERED: &[&str] = &["testing", "bridge"];

struct Mentions(Names);

impl<'ast> Visit<'ast> for Mentions {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.0.insert(segment.ident.to_string());
        syn::visit::visit_path_segment(self, segment);
    }
}

fn mentions(visit: impl FnOnce(&mut Mentions)) -> Names {
    let mut found = Mentions(Names::new());
    visit(&mut found);
    found.0
}

fn public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| a.path().is_ident("cfg") && a.parse_args::<syn::Path>().is_ok_and(|p| p.is_ident("test")))
}

/// `RateLimit` as `rate_limit`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OFFERED.contains(&name.as_str()) {
                files(&path, into);
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            into.push(path);
        }
    }
}

impl Core {
    /// Reads all of `syntra-core/src`.
    pub(crate) fn read() -> Self {
        let mut paths = Vec::new();
        files(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../syntra-core/src"), &mut paths);
        let mut core = Self::default();
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            core.add(&file.items, &path);
        }
        core
    }

    fn add(&mut self, items: &[syn::Item], path: &Path) {
        for item in items {
            match item {
                syn::Item::Struct(it) if public(&it.vis) && !for_tests(&it.attrs) => {
                    let fields: Vec<&syn::Field> = it.fields.iter().filter(|f| public(&f.vis)).collect();
                    let names = fields
                        .iter()
                        .filter_map(|f| f.ident.as_ref().map(|n| n.to_string().trim_start_matches("r#").to_owned()));
                    let found = mentions(|m| fields.iter().for_each(|f| m.visit_type(&f.ty)));
                    self.put(&it.ident, Kind::Struct(names.collect()), found, path);
                }
                syn::Item::Enum(it) if public(&it.vis) && !for_tests(&it.attrs) => {
                    let names = it.variants.iter().map(|v| snake(&v.ident.to_string())).collect();
                    let found = mentions(|m| it.variants.iter().for_each(|v| m.visit_fields(&v.fields)));
                    self.put(&it.ident, Kind::Enum(names), found, path);
                }
                syn::Item::Trait(it) if public(&it.vis) => {
                    let mut found = Names::new();
                    for item in &it.items {
                        if let syn::TraitItem::Fn(function) = item {
                            let (name, function) = (function.sig.ident.to_string(), Function::new(&function.sig));
                            found.extend(function.mentions.iter().cloned());
                            self.functions.entry(it.ident.to_string()).or_default().insert(name, function);
                        }
                    }
                    self.put(&it.ident, Kind::Trait, found, path);
                }
                syn::Item::Type(it) if public(&it.vis) => {
                    let found = mentions(|m| m.visit_type(&it.ty));
                    self.put(&it.ident, Kind::Alias, found, path);
                }
                syn::Item::Impl(it) if !for_tests(&it.attrs) => self.add_impl(it),
                syn::Item::Mod(it) if public(&it.vis) && !for_tests(&it.attrs) => {
                    if let Some((_, items)) = &it.content {
                        self.add(items, path);
                    }
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, name: &syn::Ident, kind: Kind, mentions: Names, path: &Path) {
        let name = name.to_string();
        let old = self.items.insert(name.clone(), Item { kind, mentions });
        assert!(
            old.is_none(),
            "{}: there are two public items named {name}; which is meant? see tests/tests/parity",
            path.display()
        );
    }

    fn add_impl(&mut self, it: &syn::ItemImpl) {
        let syn::Type::Path(of) = &*it.self_ty else { return };
        let Some(of) = of.path.segments.last().map(|s| s.ident.to_string()) else { return };
        if let Some((_, path, _)) = &it.trait_ {
            if let Some(name) = path.segments.last() {
                self.implementors.entry(name.ident.to_string()).or_default().insert(of);
            }
            return;
        }
        for item in &it.items {
            if let syn::ImplItem::Fn(function) = item
                && public(&function.vis)
            {
                let name = function.sig.ident.to_string();
                self.functions.entry(of.clone()).or_default().insert(name, Function::new(&function.sig));
            }
        }
    }

    /// The public functions of the type or trait `of`, in whatever file their `impl` blocks are, with their parameters.
    pub(crate) fn functions(&self, of: &str) -> BTreeMap<String, Vec<String>> {
        let found = self.functions.get(of).into_iter().flatten();
        found.map(|(name, function)| (name.clone(), function.parameters.clone())).collect()
    }

    /// The public types that implement the trait `name`.
    pub(crate) fn implementors(&self, name: &str) -> BTreeSet<String> {
        let all = self.implementors.get(name).into_iter().flatten();
        all.filter(|of| self.items.contains_key(*of)).cloned().collect()
    }

    /// Every public item that can be got to from the functions of the types `from`: by their signatures, by fields, by variants.
    pub(crate) fn reachable(&self, from: &[&str]) -> BTreeSet<String> {
        let mut open: Vec<String> = Vec::new();
        for of in from {
            let functions = self.functions.get(*of).into_iter().flatten();
            open.extend(functions.flat_map(|(_, function)| function.mentions.iter().cloned()));
            open.extend(self.items[*of].mentions.iter().cloned());
        }
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some(item) = self.items.get(&name) else { continue };
            if !from.contains(&name.as_str()) && reached.insert(name) {
                open.extend(item.mentions.iter().cloned());
            }
        }
        reached
    }
}
