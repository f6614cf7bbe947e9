//! What kind of document a file is, by its name.

use serde::Serialize;
use std::path::Path;

/// The kinds of document, which are cut into chunks differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileKind {
    /// Markdown: sections by heading.
    Markdown,
    /// Source code: definitions, blank lines, indentation.
    Code,
    /// Plain text: paragraphs and sentences.
    Text,
    /// Tables and settings (CSV, JSON, YAML, …): lines.
    Data,
    /// HTML: its text, with headings.
    Html,
    /// PDF: its text. Needs the feature `pdf`.
    Pdf,
}

impl FileKind {
    /// The kind of the file at `path` by its extension (or name, as `Makefile`), whatever its case; `None` for files that are not
    /// indexed.
    ///
    /// ```
    /// use syntra_core::documents::FileKind;
    /// use std::path::Path;
    /// assert_eq!(FileKind::of(Path::new("docs/README.MD")), Some(FileKind::Markdown));
    /// assert_eq!(FileKind::of(Path::new("photo.jpg")), None);
    /// ```
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        match name.as_str() {
            "makefile" | "dockerfile" | "justfile" | "rakefile" | "gemfile" => return Some(Self::Code),
            "license" | "readme" | "changelog" | "notice" | "authors" => return Some(Self::Text),
            _ => {}
        }
        let (stem, extension) = name.rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        Some(match extension {
            "md" | "markdown" | "mdx" => Self::Markdown,
            "txt" | "text" | "rst" | "adoc" | "log" | "tex" | "org" => Self::Text,
            "html" | "htm" | "xhtml" => Self::Html,
            "pdf" => Self::Pdf,
            "json" | "jsonl" | "yaml" | "yml" | "xml" | "toml" | "csv" | "tsv" | "ini" | "cfg" | "conf" => Self::Data,
            "py" | "pyi" | "js" | "mjs" | "cjs" | "jsx" | "ts" | "tsx" | "java" | "kt" | "scala" | "cpp" | "cc"
            | "cxx" | "c" | "h" | "hpp" | "cs" | "rs" | "go" | "rb" | "php" | "swift" | "lua" | "r" | "pl" | "ex"
            | "exs" | "hs" | "ml" | "clj" | "dart" | "zig" | "vue" | "svelte" | "css" | "scss" | "sql" | "sh"
            | "bash" | "zsh" | "bat" | "ps1" | "proto" | "graphql" | "tf" => Self::Code,
            _ => return None,
        })
    }
}
