//! The formats of the evaluation sets: JSON lines, gzipped.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use syntra_core::memory::{MemoryType, NewMemory};
use syntra_core::{Error, Result, Role, Timestamp};

/// A question and what should be found for it.
pub(super) struct Question {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) category: String,
    pub(super) gold: Vec<String>,
    pub(super) date: Option<Timestamp>,
}

/// One user.
pub(super) struct Space {
    pub(super) id: String,
    pub(super) questions: Vec<Question>,
    /// Its documents: places in [`Set::all`], each with the date that this space gives it.
    documents: Vec<(usize, Option<Timestamp>)>,
}

/// A set: documents, and spaces of questions over them.
pub(super) struct Set {
    pub(super) name: String,
    pub(super) spaces: Vec<Space>,
    all: Vec<NewMemory>,
}

/// `dir` if it is a set, or else the sets in it, by name.
pub(super) fn sets(dir: &Path) -> Result<Vec<PathBuf>> {
    if dir.join("queries.jsonl.gz").is_file() {
        return Ok(vec![dir.into()]);
    }
    let entries = std::fs::read_dir(dir).map_err(|e| Error::invalid(format!("{}: {e}", dir.display())))?;
    let mut sets: Vec<PathBuf> =
        entries.filter_map(|e| e.ok()).map(|e| e.path()).filter(|p| p.join("queries.jsonl.gz").is_file()).collect();
    sets.sort();
    if sets.is_empty() {
        return Err(Error::invalid(format!("{} is no set and has none: queries.jsonl.gz is missing", dir.display())));
    }
    Ok(sets)
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let wrong = |e: &dyn std::fmt::Display| Error::invalid(format!("{}: {e}", path.display()));
    let file = File::open(path).map_err(|e| wrong(&e))?;
    let mut rows = Vec::new();
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let line = line.map_err(|e| wrong(&e))?;
        if !line.trim().is_empty() {
            rows.push(serde_json::from_str(&line).map_err(|e| wrong(&e))?);
        }
    }
    Ok(rows)
}

/// A field as text; numbers too.
fn text(row: &Value, name: &str) -> Option<String> {
    match row.get(name)? {
        Value::String(s) if !s.is_empty() => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn required(row: &Value, name: &str) -> Result<String> {
    text(row, name).ok_or_else(|| Error::invalid(format!("a row has no {name:?}")))
}

impl Set {
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let name = dir.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let queries = lines(&dir.join("queries.jsonl.gz"))?;
        let sessions = dir.join("sessions.jsonl.gz");
        if sessions.is_file() {
            return Self::of_haystacks(name, &lines(&sessions)?, &queries);
        }
        let mut all = Vec::new();
        let mut spaces: Vec<Space> = Vec::new();
        let mut place: HashMap<String, usize> = HashMap::new();
        for row in lines(&dir.join("corpus.jsonl.gz"))? {
            let space = required(&row, "space")?;
            let at = *place.entry(space.clone()).or_insert_with(|| {
                spaces.push(Space { id: space, questions: Vec::new(), documents: Vec::new() });
                spaces.len() - 1
            });
            let memory = memory(&row)?;
            if let Some(space) = spaces.get_mut(at) {
                space.documents.push((all.len(), memory.said_at));
            }
            all.push(memory);
        }
        for row in &queries {
            let at = place.get(&required(row, "space")?).copied();
            if let (Some(space), Some(question)) = (at.and_then(|at| spaces.get_mut(at)), question(row)?) {
                space.questions.push(question);
            }
        }
        Ok(Self { name, spaces, all })
    }

    /// Each question has a user of its own, whose sessions it names with their dates.
    fn of_haystacks(name: String, sessions: &[Value], queries: &[Value]) -> Result<Self> {
        let mut all = Vec::new();
        let mut place = HashMap::new();
        for row in sessions {
            let id = required(row, "id")?;
            place.insert(id.clone(), all.len());
            all.push(memory(row)?.with_conversation(id));
        }
        let mut spaces = Vec::new();
        for row in queries {
            let Some(question) = question(row)? else { continue };
            let haystack = row.get("haystack").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let documents = haystack
                .iter()
                .filter_map(|entry| {
                    let at = place.get(entry.get(0)?.as_str()?)?;
                    Some((*at, entry.get(1).and_then(Value::as_str).and_then(date)))
                })
                .collect();
            spaces.push(Space { id: question.id.clone(), questions: vec![question], documents });
        }
        Ok(Self { name, spaces, all })
    }

    /// What is remembered for `space`, in order.
    pub(super) fn documents(&self, space: &Space) -> Vec<NewMemory> {
        let dated = |(at, date): &(usize, Option<Timestamp>)| {
            let mut memory = self.all.get(*at)?.clone();
            memory.said_at = *date;
            Some(memory)
        };
        space.documents.iter().filter_map(dated).collect()
    }
}

/// A row as an application would remember it: what was said is episodic, a document is semantic; a picture's caption is part
/// of what was said.
fn memory(row: &Value) -> Result<NewMemory> {
    let id = required(row, "id")?;
    let mut body = text(row, "text").unwrap_or_default();
    if let Some(caption) = text(row, "caption") {
        body = format!("{body} [photo: {caption}]");
    }
    if body.trim().is_empty() {
        body = text(row, "title").unwrap_or_else(|| "(empty)".into());
    }
    let said = row.get("speaker").is_some() || row.get("role").is_some() || row.get("session").is_some();
    let haystack = row.get("space").is_none();
    let kind = if said || haystack { MemoryType::Episodic } else { MemoryType::Semantic };
    let mut memory = NewMemory::new(kind, body).with_id(id);
    memory.title = text(row, "title");
    memory.speaker = text(row, "speaker");
    memory.conversation = text(row, "session");
    memory.said_at = text(row, "date").as_deref().and_then(date);
    memory.role = match text(row, "role").as_deref() {
        Some("user") => Some(Role::User),
        Some("assistant") => Some(Role::Assistant),
        _ => None,
    };
    Ok(memory)
}

/// `None` for a question that has no answer in the set.
fn question(row: &Value) -> Result<Option<Question>> {
    let gold: Vec<String> = row
        .get("gold")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    if gold.is_empty() {
        return Ok(None);
    }
    Ok(Some(Question {
        id: required(row, "id")?,
        text: required(row, "text")?,
        category: text(row, "category").unwrap_or_default(),
        gold,
        date: text(row, "date").as_deref().and_then(date),
    }))
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A date as the sets write it: `1:56 pm on 8 May, 2023`, `March-15-2024`, `2023/05/29 (Mon) 04:35`, ISO.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let lower = text.to_lowercase();
    let (mut year, mut month, mut day, mut hour, mut minute) = (None, None, None, 0i8, 0i8);
    for word in lower.split(|c: char| !c.is_alphanumeric() && c != ':').filter(|w| !w.is_empty()) {
        if let Some((h, m)) = word.split_once(':') {
            (hour, minute) = (h.parse().ok()?, m.get(..2)?.parse().ok()?);
        } else if word == "pm" {
            hour = hour % 12 + 12;
        } else if word == "am" {
            hour %= 12;
        } else if let Ok(number) = word.parse::<i16>() {
            match () {
                () if number > 31 => year = Some(number),
                () if month.is_none() && year.is_some() => month = i8::try_from(number).ok(),
                () => day = i8::try_from(number).ok(),
            }
        } else if let Some(at) = MONTHS.iter().position(|m| word.starts_with(m)) {
            month = Some(at as i8 + 1);
        }
    }
    let at = jiff::civil::Date::new(year?, month?, day?).ok()?.at(hour, minute, 0, 0);
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_of_all_sets_are_read() {
        for (text, expected) in [
            ("1:56 pm on 8 May, 2023", "2023-05-08T13:56:00Z"),
            ("12:09 am on 13 September, 2023", "2023-09-13T00:09:00Z"),
            ("March-15-2024", "2024-03-15T00:00:00Z"),
            ("2023/05/29 (Mon) 04:35", "2023-05-29T04:35:00Z"),
            ("2024-02-01T10:00:00Z", "2024-02-01T10:00:00Z"),
        ] {
            assert_eq!(super::date(text).map(|t| t.to_string()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(super::date("some day"), None);
    }
}
