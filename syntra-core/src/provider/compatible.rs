//! The table of servers known by name, and the providers made from it.

use super::anthropic::Anthropic;
use super::gemini::Gemini;
use super::ollama::Ollama;
use super::openai::{Chat, ChatQuirks, DocumentField, JsonSupport, Prefill, ReasoningField};
use super::responses::Responses;
use super::{Auth, Dialect, HttpProvider};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Secret;
use std::sync::Arc;

/// How a server is told who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthStyle {
    /// Not at all, or `Authorization: Bearer` where the host gives a key all the same.
    Optional,
    /// `Authorization: Bearer`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
}

/// One row of the table: all that is particular about a server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Server {
    /// Its name, which is the provider's name too.
    pub name: &'static str,
    /// Where it is.
    pub base_url: &'static str,
    /// The dialect it speaks: `chat`, `responses`, `anthropic`, `gemini` or `ollama`.
    pub dialect: &'static str,
    /// How it is told who asks.
    pub auth: AuthStyle,
    /// Environment variables that hold its key, the usual one first.
    pub key_variables: &'static [&'static str],
    /// Environment variables that hold another address for it, the usual one first.
    pub url_variables: &'static [&'static str],
    /// Whether it runs on the user's own machine: no key, and worth probing.
    pub local: bool,
    make: fn() -> Arc<dyn Dialect>,
}

impl Server {
    /// The provider of this row with `key`, at its usual address.
    pub fn provider(&self, key: Option<Secret>) -> HttpProvider {
        HttpProvider::unchecked(self.name.into(), (self.make)(), self.base_url.into(), self.auth(key))
    }

    /// The provider of this row with the key and at the address that the environment has for it, the usual address where it has none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the variable for the address holds none.
    pub fn configured(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<HttpProvider> {
        let provider = self.provider(first(self.key_variables, &lookup).map(Secret::from));
        match first(self.url_variables, &lookup) {
            Some(url) => provider.with_base_url(with_scheme(&url)),
            None => Ok(provider),
        }
    }

    fn auth(&self, key: Option<Secret>) -> Auth {
        match (key.filter(|k| !k.is_empty()), self.auth) {
            (None, _) => Auth::None,
            (Some(key), AuthStyle::Optional | AuthStyle::Bearer) => Auth::Bearer(key),
            (Some(key), AuthStyle::Header(name)) => Auth::Header(name.into(), key),
        }
    }
}

/// The servers known by name.
///
/// ```
/// use syntra_core::provider::servers;
/// let kimi = servers().find(|s| s.name == "kimi").unwrap();
/// assert!(kimi.key_variables.contains(&"MOONSHOT_API_KEY"));
/// ```
pub fn servers() -> impl Iterator<Item = &'static Server> {
    SERVERS.iter()
}

fn server(name: &str) -> Result<&'static Server> {
    servers().find(|s| s.name == name).ok_or_else(|| {
        let known = servers().map(|s| s.name).collect::<Vec<_>>().join(", ");
        Error::new(ErrorKind::Config, format!("no server is named `{name}`; known are {known}"))
    })
}

/// The providers that the environment has keys for, in the order of the table, and local servers whose address it names. `lookup` is
/// asked for each variable; give `|name| std::env::var(name).ok()`. A key variable may list several keys, separated by commas: each is a
/// provider of the same name, and calls are balanced over them.
///
/// # Errors
/// [`ErrorKind::Config`] when a variable holds an address that is none.
///
/// ```
/// use syntra_core::provider::{Provider, from_env};
/// let found = from_env(|name| (name == "GROQ_API_KEY").then(|| "gsk_x".into())).unwrap();
/// assert_eq!(found.iter().map(|p| p.name()).collect::<Vec<_>>(), ["groq"]);
/// ```
pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<HttpProvider>> {
    let mut found = Vec::new();
    for server in servers() {
        // One key opens both of OpenAI's doors; one provider is enough unless asked for.
        let wanted = match server.local {
            true => first(server.url_variables, &lookup).is_some(),
            false => first(server.key_variables, &lookup).is_some() && server.name != "openai-responses",
        };
        if wanted {
            let keys = first(server.key_variables, &lookup).unwrap_or_default();
            let mut keys: Vec<&str> = keys.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                keys.push("");
            }
            for key in keys {
                let one = |name: &str| match server.key_variables.contains(&name) {
                    true => Some(key.to_owned()),
                    false => lookup(name),
                };
                found.push(server.configured(one)?);
            }
        }
    }
    Ok(found)
}

fn first(names: &[&str], lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    names.iter().find_map(|name| lookup(name).filter(|v| !v.trim().is_empty()))
}

/// `OLLAMA_HOST` and its like are often given as `host:port`.
fn with_scheme(url: &str) -> String {
    let url = url.trim();
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

impl HttpProvider {
    /// The server of this name in the table, with `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such row; the message lists those that there are.
    pub fn named(name: &str, key: Option<Secret>) -> Result<Self> {
        Ok(server(name)?.provider(key))
    }

    /// OpenAI's Chat Completions.
    pub fn openai(key: impl Into<Secret>) -> Self {
        OPENAI.provider(Some(key.into()))
    }

    /// OpenAI's Responses API.
    pub fn openai_responses(key: impl Into<Secret>) -> Self {
        OPENAI_RESPONSES.provider(Some(key.into()))
    }

    /// Anthropic.
    pub fn anthropic(key: impl Into<Secret>) -> Self {
        ANTHROPIC.provider(Some(key.into()))
    }

    /// Google Gemini.
    pub fn gemini(key: impl Into<Secret>) -> Self {
        GEMINI.provider(Some(key.into()))
    }

    /// An Ollama server at `base_url`, as `http://127.0.0.1:11434`, over its own API.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `base_url` is no URL.
    pub fn ollama(base_url: impl AsRef<str>) -> Result<Self> {
        OLLAMA.provider(None).with_base_url(base_url)
    }

    /// Perplexity.
    pub fn perplexity(key: impl Into<Secret>) -> Self {
        PERPLEXITY.provider(Some(key.into()))
    }

    /// Kimi, by Moonshot.
    pub fn kimi(key: impl Into<Secret>) -> Self {
        KIMI.provider(Some(key.into()))
    }

    /// OpenRouter.
    pub fn openrouter(key: impl Into<Secret>) -> Self {
        OPENROUTER.provider(Some(key.into()))
    }

    /// A llama.cpp server at `base_url`, as `http://127.0.0.1:8080/v1`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `base_url` is no URL.
    pub fn llama_cpp(base_url: impl AsRef<str>) -> Result<Self> {
        LLAMA_CPP.provider(None).with_base_url(base_url)
    }

    /// Any server that speaks Chat Completions, named `name`, at `base_url` (usually ending in `/v1`).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `base_url` is no URL.
    pub fn compatible(name: impl Into<String>, base_url: impl AsRef<str>, key: Option<Secret>) -> Result<Self> {
        let auth = key.filter(|k| !k.is_empty()).map_or(Auth::None, Auth::Bearer);
        Self::new(name, Chat::new(), base_url, auth)
    }
}

fn chat(quirks: ChatQuirks) -> Arc<dyn Dialect> {
    Arc::new(Chat::with_quirks(quirks))
}

const OPENAI: Server = Server {
    name: "openai",
    base_url: "https://api.openai.com/v1",
    dialect: "chat",
    auth: AuthStyle::Bearer,
    key_variables: &["OPENAI_API_KEY"],
    url_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    local: false,
    make: || {
        chat(ChatQuirks {
            reasoning: ReasoningField::OpenAi,
            documents: DocumentField::File,
            fixed_sampling: true,
            ..ChatQuirks::default()
        })
    },
};

const OPENAI_RESPONSES: Server =
    Server { name: "openai-responses", dialect: "responses", make: || Arc::new(Responses::new()), ..OPENAI };

const ANTHROPIC: Server = Server {
    name: "anthropic",
    base_url: "https://api.anthropic.com",
    dialect: "anthropic",
    auth: AuthStyle::Header("x-api-key"),
    key_variables: &["ANTHROPIC_API_KEY"],
    url_variables: &["ANTHROPIC_BASE_URL"],
    local: false,
    make: || Arc::new(Anthropic::new()),
};

const GEMINI: Server = Server {
    name: "gemini",
    base_url: "https://generativelanguage.googleapis.com",
    dialect: "gemini",
    auth: AuthStyle::Header("x-goog-api-key"),
    key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    url_variables: &["GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"],
    local: false,
    make: || Arc::new(Gemini::new()),
};

const OLLAMA: Server = Server {
    name: "ollama",
    base_url: "http://127.0.0.1:11434",
    dialect: "ollama",
    auth: AuthStyle::Optional,
    key_variables: &["OLLAMA_API_KEY"],
    url_variables: &["OLLAMA_BASE_URL", "OLLAMA_HOST"],
    local: true,
    make: || Arc::new(Ollama::new()),
};

const PERPLEXITY: Server = Server {
    name: "perplexity",
    base_url: "https://api.perplexity.ai",
    key_variables: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
    url_variables: &["PERPLEXITY_BASE_URL"],
    make: || {
        chat(ChatQuirks {
            // It sends usage with every chunk and refuses fields that it does not know.
            include_usage: false,
            reasoning: ReasoningField::Dropped,
            tools: false,
            seed: None,
            stop: false,
            documents: DocumentField::FileUrl,
            ..ChatQuirks::default()
        })
    },
    ..OPENAI
};

const KIMI: Server = Server {
    name: "kimi",
    base_url: "https://api.moonshot.ai/v1",
    key_variables: &["MOONSHOT_API_KEY", "KIMI_API_KEY"],
    url_variables: &["MOONSHOT_BASE_URL", "KIMI_BASE_URL"],
    make: || {
        chat(ChatQuirks {
            reasoning: ReasoningField::Thinking,
            echo_reasoning: true,
            prefill: Prefill::Partial,
            seed: None,
            ..ChatQuirks::default()
        })
    },
    ..OPENAI
};

const OPENROUTER: Server = Server {
    name: "openrouter",
    base_url: "https://openrouter.ai/api/v1",
    key_variables: &["OPENROUTER_API_KEY"],
    url_variables: &["OPENROUTER_BASE_URL"],
    make: || {
        chat(ChatQuirks {
            reasoning: ReasoningField::Object,
            documents: DocumentField::FileOrUrl,
            cache_marks: true,
            prefill: Prefill::Claude,
            ..ChatQuirks::default()
        })
    },
    ..OPENAI
};

const DEEPSEEK: Server = Server {
    name: "deepseek",
    base_url: "https://api.deepseek.com",
    key_variables: &["DEEPSEEK_API_KEY"],
    url_variables: &["DEEPSEEK_BASE_URL"],
    make: || {
        chat(ChatQuirks {
            reasoning: ReasoningField::Thinking,
            echo_reasoning: true,
            json: JsonSupport::ObjectOnly,
            seed: None,
            ..ChatQuirks::default()
        })
    },
    ..OPENAI
};

const GROQ: Server = Server {
    name: "groq",
    base_url: "https://api.groq.com/openai/v1",
    key_variables: &["GROQ_API_KEY"],
    url_variables: &["GROQ_BASE_URL"],
    make: || {
        // Few of its models know reasoning effort, and the others refuse it.
        chat(ChatQuirks {
            max_completion_tokens: true,
            reasoning: ReasoningField::Dropped,
            prefill: Prefill::Llama,
            ..ChatQuirks::default()
        })
    },
    ..OPENAI
};

const MISTRAL: Server = Server {
    name: "mistral",
    base_url: "https://api.mistral.ai/v1",
    key_variables: &["MISTRAL_API_KEY"],
    url_variables: &["MISTRAL_BASE_URL"],
    make: || {
        chat(ChatQuirks {
            // It sends usage at the end of its own accord and refuses fields that it does not know.
            include_usage: false,
            reasoning: ReasoningField::Dropped,
            seed: Some("random_seed"),
            ..ChatQuirks::default()
        })
    },
    ..OPENAI
};

const XAI: Server = Server {
    name: "xai",
    base_url: "https://api.x.ai/v1",
    key_variables: &["XAI_API_KEY"],
    url_variables: &["XAI_BASE_URL"],
    // Most of its models think and refuse to be told how hard.
    make: || chat(ChatQuirks { reasoning: ReasoningField::Dropped, ..ChatQuirks::default() }),
    ..OPENAI
};

const TOGETHER: Server = Server {
    name: "together",
    base_url: "https://api.together.xyz/v1",
    key_variables: &["TOGETHER_API_KEY"],
    url_variables: &["TOGETHER_BASE_URL"],
    make: || chat(ChatQuirks::default()),
    ..OPENAI
};

const LLAMA_CPP: Server = Server {
    name: "llama.cpp",
    base_url: "http://127.0.0.1:8080/v1",
    auth: AuthStyle::Optional,
    key_variables: &["LLAMA_API_KEY"],
    url_variables: &["LLAMA_CPP_BASE_URL", "LLAMA_SERVER_URL"],
    local: true,
    make: || {
        chat(ChatQuirks { reasoning: ReasoningField::Template, prefill: Prefill::NotThinking, ..ChatQuirks::default() })
    },
    ..OPENAI
};

static SERVERS: &[Server] = &[
    OPENAI,
    OPENAI_RESPONSES,
    ANTHROPIC,
    GEMINI,
    PERPLEXITY,
    KIMI,
    OPENROUTER,
    DEEPSEEK,
    GROQ,
    MISTRAL,
    XAI,
    TOGETHER,
    LLAMA_CPP,
    OLLAMA,
];
