//! Memories in many languages, from outside: each is remembered in its language and found by its words alone, in another
//! inflexion than the one it was said in, in one partition with all the others.

use std::sync::Arc;
use syntra_core::embed::StaticEmbedder;
use syntra_core::memory::{Memories, MemoryType, NewMemory, RecallRequest, SqliteMemoryStore};
use syntra_core::search::{DefaultRanker, Strategy};
use syntra_core::storage::Database;
use syntra_core::{Scope, SystemClock};

/// Language, what is remembered, what is asked.
const CASES: &[(&str, &str, &str)] = &[
    ("en", "My sister painted two old lighthouses", "Who was painting the lighthouse?"),
    ("es", "Ayer compramos tres camisas en el mercado", "¿Cuándo compraste la camisa?"),
    ("de", "Wir haben im Sommer zwei alte Häuser am See besichtigt", "Welches Haus war es?"),
    ("fr", "Nous avons vu les chevaux dans les écuries", "Où est le cheval de l'écurie?"),
    ("pt", "Ontem nós plantamos laranjeiras no jardim", "Onde é que você plantou a laranjeira?"),
    ("it", "Abbiamo assaggiato i formaggi della valle", "Quale formaggio hai assaggiato?"),
    ("nl", "Wij hebben de oude boeken in de kast gezet", "Waar is mijn boek?"),
    ("sv", "Jag köpte två böcker och en lampa på marknaden", "Vilka böckerna var det?"),
    ("tr", "Bu hafta için çok güzel kitaplar aldım", "Hangi kitap ne kadar güzel?"),
    ("ru", "Вчера мы читали интересные книги о море", "Какую книгу ты читал?"),
    ("el", "Χθες διαβάσαμε παλιές εφημερίδες", "Ποια εφημερίδα διάβασες;"),
    ("ar", "اشتريت الكتب من المكتبة القديمة", "أين كتب المكتبة؟"),
    ("hi", "मैंने कल बाज़ार से तीन किताबें खरीदीं", "कौन सी किताबों की बात थी?"),
    ("zh", "我昨天在图书馆借了三本小说", "图书馆的小说"),
    ("ja", "昨日は友達と水族館に行きました", "水族館へ行ったのはいつ?"),
    ("ko", "어제 친구와 박물관에서 사진을 찍었다", "박물관 사진"),
    ("th", "เมื่อวานฉันไปพิพิธภัณฑ์กับเพื่อน", "พิพิธภัณฑ์อยู่ที่ไหน"),
];

#[tokio::test]
async fn a_memory_is_found_by_an_inflected_form_in_each_language() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let embedder = Arc::new(StaticEmbedder::bundled().unwrap());
    let store = SqliteMemoryStore::new(Database::open(folder.path()).unwrap(), clock.clone())
        .with_model(
            syntra_core::embed::Embedder::model(&*embedder),
            syntra_core::embed::Embedder::dimensions(&*embedder),
        )
        .unwrap();
    let memories = Memories::new(Arc::new(store), embedder, Arc::new(DefaultRanker::default()), clock);
    let scope = Scope::new("languages", "everybody").unwrap();
    let items = CASES.iter().map(|(language, said, _)| NewMemory::new(MemoryType::Episodic, *said).with_id(*language));
    memories.remember(&scope, items.collect()).await.unwrap();
    let mut wrong = Vec::new();
    for (language, _, asked) in CASES {
        let request = RecallRequest::new(*asked).with_limit(3).with_strategies([Strategy::Keyword]);
        let found = memories.recall(&scope, request).await.unwrap();
        let first = found.items.first().map(|item| item.memory.id.clone());
        if first.as_deref() != Some(language) {
            wrong.push(format!("{language}: {asked:?} found {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
