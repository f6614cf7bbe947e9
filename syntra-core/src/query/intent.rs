//! What kind of utterance a text is, whether memory can help, and what it asks about time.

use super::words::{Language, Word, phrases, word_set};
use super::{AnswerKind, QueryIntent};
use crate::memory::MemoryType;
use std::collections::HashSet;

/// The words of a text, lower case, for matching phrases by whole words.
pub(super) struct Lowered<'a> {
    words: &'a [Word<'a>],
    text: &'a str,
}

impl<'a> Lowered<'a> {
    pub(super) fn new(text: &'a str, words: &'a [Word<'a>]) -> Self {
        Self { words, text }
    }

    fn at(&self, i: usize) -> &str {
        self.words.get(i).map_or("", |w| w.lower.as_ref())
    }

    fn any(&self, list: &HashSet<&str>) -> bool {
        self.words.iter().any(|w| list.contains(w.lower.as_ref()))
    }

    /// Whether one of `phrases` (words between spaces) stands in the text, word by word.
    fn phrase(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|p| self.find(p).is_some())
    }

    fn find(&self, phrase: &str) -> Option<usize> {
        (0..self.words.len()).find(|&i| self.stands_at(i, phrase))
    }

    fn stands_at(&self, i: usize, phrase: &str) -> bool {
        phrase.split(' ').enumerate().all(|(k, word)| self.at(i + k) == word)
    }

    /// Whether one of `parts` stands in a run of Chinese or Japanese.
    fn cjk(&self, parts: &[&str]) -> bool {
        self.words.iter().any(|w| w.cjk && parts.iter().any(|p| w.text.contains(p)))
    }

    fn asks(&self) -> bool {
        self.text.contains(['?', '？', '؟', '¿'])
    }

    /// Where the utterance itself begins: after greetings, please and the like.
    fn body(&self) -> usize {
        let mut i = 0;
        while i < self.words.len() && OPENERS.contains(self.at(i)) {
            i += 1;
        }
        if i < self.words.len() { i } else { 0 }
    }
}

word_set!(
    OPENERS,
    "hi hello hey ok okay so well please and but also now then actually thanks great cool hmm yes no just por \
    favor bitte svp hola hallo bonjour salut olá oi danke gracias merci obrigado obrigada kindly"
);

/// Whether a word merely opens an utterance: a greeting, please, well.
pub(super) fn is_opener(lower: &str) -> bool {
    OPENERS.contains(lower)
}

/// Whether a word is a verb with which commands begin.
pub(super) fn is_imperative(lower: &str) -> bool {
    IMPERATIVES.contains(lower) || matches!(lower, "ask" | "contact" | "visit" | "email" | "text" | "meet" | "invite")
}

word_set!(
    AUXILIARIES,
    "is are am was were do does did has have had can could will would shall should may might must isn't aren't \
    wasn't weren't don't doesn't didn't hasn't haven't hadn't can't couldn't won't wouldn't shouldn't ain't \
    hast habe kannst können est puedes"
);

word_set!(
    INTERROGATIVES,
    "what what's whats what're who who's whose whom which when when's where where's why why's how how's qué \
    quién quiénes cuándo dónde cómo cuál cuáles cuánto cuántos cuánta cuántas wer wann wo wie warum wieso \
    weshalb welche welcher welches wen wem wohin woher wieviel qui quand où comment pourquoi combien quel \
    quelle quels quelles quem quando onde qual quais quanto quantos porquê qu'est est"
);

const CJK_QUESTIONS: &str =
    "吗 嗎 什么 什麼 怎么 怎麼 为什么 為什麼 谁 誰 哪 几 何 どこ いつ なぜ どう だれ なに ですか ますか 多少";

word_set!(
    IMPERATIVES,
    "write rewrite create make generate build draft compose summarize summarise translate explain describe list \
    show give find search look open close fix debug refactor implement add remove delete update change edit \
    correct proofread improve shorten expand convert calculate compute solve compare analyze analyse review \
    check test run execute call send reply answer schedule book order buy plan set turn start stop remind save \
    store note forget remember use let's lets tell suggest recommend draw paint design format sort extract \
    classify design read fetch download upload install play continue repeat try put help teach prove define \
    outline brainstorm simplify rephrase paraphrase count pick choose rank cite print return always never don't \
    escribe muestra explica traduce resume haz crea dame ayúdame busca dime schreib schreibe zeig zeige erkläre \
    übersetze fasse mach erstelle gib hilf suche écris écrivez montre explique traduis résume fais crée donne \
    aide cherche escreva mostre traduza resuma faça crie ajude procure diga"
);

/// The kind of utterance, in this order: recall, command, question, conversation.
pub(super) fn intent(text: &Lowered<'_>) -> QueryIntent {
    if is_recall(text) {
        QueryIntent::Recall
    } else if is_command(text) {
        QueryIntent::Command
    } else if is_question(text) {
        QueryIntent::Question
    } else {
        QueryIntent::Conversation
    }
}

fn is_recall(t: &Lowered<'_>) -> bool {
    phrases!(
        PHRASES,
        "do you remember|can you remember|you remember|do you recall|can you recall|remember when|remember what|\
        remember who|remember where|remember how|remember which|remember the time|remind me what|remind me when|\
        remind me who|remind me where|remind me which|remind me how|remind me of|last time we|last time i|\
        you told me|i told you|you said|i said|i asked you|you mentioned|i mentioned|we talked|we discussed|\
        we spoke|we said|we decided|we agreed|have we talked|have i ever|have we ever|have i told|have i mentioned|\
        our last conversation|our previous conversation|our earlier conversation|my last message|\
        my previous question|earlier you"
    );
    phrases!(
        OTHERS,
        "te dije|te conté|me dijiste|hablamos|recuerdas|te acuerdas|habe ich gesagt|habe ich dir|hast du gesagt|\
        erinnerst du|weißt du noch|haben wir besprochen|haben wir gesprochen|tu te souviens|te souviens|j'ai dit|\
        ai je dit|je t'ai dit|você lembra|lembra|eu disse|falamos"
    );
    if t.phrase(&PHRASES)
        || t.phrase(&OTHERS)
        || t.cjk(&["记得", "記得", "我说过", "我之前", "上次", "覚えて", "言った", "前に"])
    {
        return true;
    }
    // A question about the speakers' own past: `where did I park`, `what was my first job`.
    let us = ["i", "we", "my", "our", "me", "us", "you"];
    let past = ["did", "didn't", "was", "were", "had"];
    (t.asks() || INTERROGATIVES.contains(t.at(t.body())) || past.contains(&t.at(t.body())))
        && (0..t.words.len()).any(|i| past.contains(&t.at(i)) && us.contains(&t.at(i + 1)))
}

fn is_command(t: &Lowered<'_>) -> bool {
    if t.text.trim_start().strip_prefix('/').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())) {
        return true;
    }
    let body = t.body();
    // `can you write …`, `I want you to …`, `I'd like you to …`: the verb comes later.
    let polite =
        ["can you", "could you", "would you", "will you", "can you please", "could you please", "would you please"];
    let wishes = ["i want you to", "i need you to", "i'd like you to", "i would like you to", "you should"];
    let rest = polite.iter().chain(&wishes).filter(|p| t.stands_at(body, p)).map(|p| p.split(' ').count()).max();
    let asked = rest.is_some();
    let mut verb_at = body + rest.unwrap_or(0);
    if t.at(verb_at) == "please" {
        verb_at += 1;
    }
    let verb = t.at(verb_at);
    if t.cjk(&["请", "請", "帮我", "幫我", "してください", "して下さい", "翻译", "翻訳"]) {
        return true;
    }
    if !IMPERATIVES.contains(verb) {
        return false;
    }
    let next = t.at(verb_at + 1);
    match verb {
        // `tell me when …` and `show me who …` ask; `tell Ada …` and `tell me about …` command.
        "tell" | "dime" | "diga" => !(next == "me" && INTERROGATIVES.contains(t.at(verb_at + 2))),
        "remember" => !t.asks() || asked,
        // `don't you think`, `never mind`, `always wanted`.
        "don't" | "never" | "always" => next != "you" && next != "mind" && !t.asks() && !next.ends_with("ed"),
        "look" | "set" | "use" | "plan" | "test" | "order" | "note" | "book" | "run" | "play" | "help" | "answer"
        | "call" => {
            // Nouns too: `test results are in`, `run time?`. A command has something after it and no verb of being.
            !(["is", "are", "was", "were"].contains(&next) || (next.is_empty() && t.asks()))
        }
        _ => true,
    }
}

fn is_question(t: &Lowered<'_>) -> bool {
    if t.asks() {
        return true;
    }
    let body = t.body();
    let first = t.at(body);
    if first == "est" {
        return t.at(body + 1) == "ce";
    }
    if INTERROGATIVES.contains(first) {
        // `what a day`, `when I was young I …`: no question.
        let next = t.at(body + 1);
        return !matches!((first, next), ("what", "a" | "an") | ("when", "i" | "we" | "you" | "the"));
    }
    word_set!(SUBJECTS, "i you he she it we they the a an my your our there this that these those any anyone someone");
    if AUXILIARIES.contains(first)
        && (SUBJECTS.contains(t.at(body + 1)) || t.words.get(body + 1).is_some_and(|w| w.capital))
    {
        return true;
    }
    if first == "tell" && t.at(body + 1) == "me" && INTERROGATIVES.contains(t.at(body + 2)) {
        return true;
    }
    t.phrase(&["i wonder", "any idea", "do you know", "wondering if", "i'd like to know", "i want to know"])
        || CJK_QUESTIONS.split(' ').any(|part| t.cjk(&[part]))
}

/// What kind of thing it asks for: told by its question word.
pub(super) fn asks_for(t: &Lowered<'_>) -> Option<AnswerKind> {
    word_set!(
        NAMES,
        "who who's whom whose where where's which quién quiénes dónde cuál cuáles wer wen wem wo wohin woher welche welcher \
        welches welchen où quel quelle quels quelles dove quale quem onde qual кто где"
    );
    word_set!(
        NUMBERS,
        "cuánto cuánta cuántos cuántas combien wieviel wieviele quanto quanta quantos quantas quanti quante сколько"
    );
    let number = t.any(&NUMBERS)
        || t.phrase(&[
            "how many",
            "how much",
            "how old",
            "how long",
            "how often",
            "how far",
            "how tall",
            "how high",
            "how big",
            "how large",
            "how heavy",
            "how fast",
            "what number",
            "what percentage",
            "what age",
            "what price",
            "wie viel",
            "wie viele",
            "wie oft",
            "wie lange",
            "wie alt",
            "wie weit",
            "wie hoch",
        ])
        || t.cjk(&["多少", "几个", "幾個", "いくつ", "いくら", "何人", "何回"]);
    if number {
        return Some(AnswerKind::Number);
    }
    let name = NAMES.contains(t.at(t.body()))
        || t.phrase(&["name", "names", "the title of", "nombre", "wie heißt", "comment s'appelle"])
        || t.cjk(&["谁", "誰", "哪里", "哪裡", "どこ", "だれ"]);
    name.then_some(AnswerKind::Name)
}

/// Whether it asks when something happened.
pub(super) fn asks_when(t: &Lowered<'_>) -> bool {
    word_set!(
        AFTER_WHEN,
        "did was is were are do does has have had will would should can could am didn't exactly hat habe hast war \
        ist a est foi"
    );
    word_set!(KNOWING, "know knows tell idea forgot forget wonder since until");
    let body = t.body();
    for i in 0..t.words.len() {
        let native = match t.at(i) {
            "when" => false,
            "when's" | "cuándo" | "wann" | "quand" => true,
            "quando" => t.asks(),
            _ => continue,
        };
        let known = i.checked_sub(1).is_some_and(|p| {
            KNOWING.contains(t.at(p)) || (t.at(p) == "me" && p > 0 && t.at(p - 1) == "tell") || t.at(p) == "exactly"
        });
        let alone = t.words.len() == 1;
        let first = i == body || t.words.get(i).is_some_and(|w| w.first);
        if alone || known || (native && (first || t.asks())) || AFTER_WHEN.contains(t.at(i + 1)) && (first || t.asks())
        {
            return true;
        }
    }
    t.phrase(&[
        "what date",
        "what day",
        "which day",
        "what year",
        "which year",
        "what month",
        "which month",
        "what time",
        "how long ago",
        "how recently",
        "the date of",
        "qué día",
        "qué fecha",
        "en qué año",
        "welchem tag",
        "welchem jahr",
        "quel jour",
        "quelle date",
        "que dia",
        "que data",
        "em que ano",
    ]) || t.cjk(&["什么时候", "什麼時候", "何时", "いつ", "哪天", "哪年", "几月"])
}

/// Whether it asks about now.
pub(super) fn about_now(t: &Lowered<'_>) -> bool {
    word_set!(
        NOW,
        "latest current currently now nowadays still today today's newest recent recently lately tonight presently \
        anymore ahora actual actualmente hoy todavía último última jetzt aktuell aktuelle aktuellen derzeit heute \
        neueste neuesten maintenant actuel actuelle actuellement aujourd'hui agora atual atualmente hoje ainda"
    );
    t.any(&NOW) && !t.phrase(&["until now", "now and then", "from now on"])
        || t.phrase(&[
            "these days",
            "at the moment",
            "at present",
            "so far",
            "up to date",
            "as of",
            "most recent",
            "by now",
        ])
        || t.cjk(&["现在", "現在", "最新", "目前", "今天", "今日", "最近", "今の"])
}

/// Greetings, thanks, leave-taking and assent, and the words that only go along with them.
fn small_talk_core(word: &str) -> bool {
    word_set!(
        CORE,
        "hi hello hey hiya howdy yo sup greetings morning evening night thanks thank thx ty cheers bye goodbye cya \
        welcome ok okay k cool nice great awesome perfect wow lol haha hahaha hehe yes yeah yep yup no nope sure \
        sorry please good fine alright understood hola buenas buenos gracias adiós adios chao vale hallo moin \
        servus guten danke tschüss tschüs ja nein bonjour bonsoir salut merci coucou oui non olá oi bom boa \
        obrigado obrigada tchau sim não tudo ciao namaste aloha hm hmm interesting amazing brilliant wonderful \
        exactly"
    );
    CORE.contains(word)
}

fn small_talk_filler(word: &str) -> bool {
    word_set!(
        FILLER,
        "there all everyone everybody folks guys friend buddy mate so very much a lot you your for the help again \
        too that that's this was is it it's to and now then well really just one job work answer see later soon \
        tomorrow day have afternoon assistant syntra días tardes noches muchas mucho por favor luego hasta morgen \
        tag abend schön vielen dank dir beaucoup bien dia tarde noite muito bem de"
    );
    FILLER.contains(word)
}

/// Whether memory can help: not with greetings, thanks, assent and pure small talk, nor with nothing at all.
pub(super) fn needs_memory(t: &Lowered<'_>) -> bool {
    phrases!(
        PHRASES,
        "how are you|how are you doing|how are you today|how's it going|how is it going|how do you do|what's up|\
        whats up|how have you been|nice to meet you|good to see you|how's your day|how is your day|how was your day|\
        see you|got it|i see|makes sense|never mind|no problem|you're welcome|take care|cómo estás|qué tal|\
        wie geht's|wie geht es dir|ça va|comment ça va|comment vas tu|tudo bem|como vai|como você está"
    );
    word_set!(
        CJK,
        "你好 您好 谢谢 謝謝 再见 早上好 晚上好 晚安 こんにちは ありがとう おはよう こんばんは さようなら ありがとうございます 你好吗"
    );
    let mut core = t.words.is_empty();
    let mut i = 0;
    while i < t.words.len() {
        let phrase = PHRASES.iter().filter(|p| t.stands_at(i, p)).map(|p| p.split(' ').count()).max();
        if let Some(len) = phrase {
            core = true;
            i += len;
        } else if small_talk_core(t.at(i)) || t.words.get(i).is_some_and(|w| w.cjk && CJK.contains(w.text)) {
            core = true;
            i += 1;
        } else if small_talk_filler(t.at(i)) {
            i += 1;
        } else {
            return true;
        }
    }
    !core
}

/// The types that can help, the most helpful first; empty means all alike.
pub(super) fn memory_types(t: &Lowered<'_>, intent: QueryIntent, language: Language) -> Vec<MemoryType> {
    use MemoryType::{Episodic, Procedural, Profile, Semantic};
    word_set!(OWN, "meu minha mi mein meine mon ma");
    let own = t.phrase(&[
        "am i",
        "do i",
        "my name",
        "my favorite",
        "my favourite",
        "about me",
        "i like",
        "i prefer",
        "who am i",
    ]) || (language != Language::English && t.any(&OWN));
    if t.phrase(&["from now on", "how should you", "how do i want", "in the future always", "every time i"]) {
        vec![Procedural, Profile, Semantic, Episodic]
    } else if own && matches!(intent, QueryIntent::Question | QueryIntent::Recall) {
        vec![Profile, Episodic, Semantic, Procedural]
    } else {
        match intent {
            QueryIntent::Recall => vec![Episodic, Semantic, Profile, Procedural],
            QueryIntent::Command => vec![Procedural, Semantic, Profile, Episodic],
            _ => Vec::new(),
        }
    }
}
