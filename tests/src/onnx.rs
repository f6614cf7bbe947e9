//! Two models so small that they are written down here: graphs of ONNX, a tokenizer of a few words, and the files around them, as hubs lay
//! out a folder. They stand in `tests/models`, where the tests of all languages read them.

/// The names and contents of the files of a model.
pub type Files = [(&'static str, Vec<u8>); 4];

/// The words, and the vector that the sentence transformer has of each. The last ones tell the texts of the conformance suite apart.
const WORDS: [(&str, [f32; 4]); 15] = [
    ("[PAD]", [0.0, 0.0, 0.0, 0.0]),
    ("[UNK]", [0.0, 0.0, 0.0, 1.0]),
    ("cat", [1.0, 0.0, 0.0, 0.0]),
    ("kitten", [0.9, 0.1, 0.0, 0.0]),
    ("dog", [0.0, 1.0, 0.0, 0.0]),
    ("puppy", [0.1, 0.9, 0.0, 0.0]),
    ("key", [0.0, 0.0, 1.0, 0.0]),
    ("lock", [0.0, 0.0, 0.9, 0.1]),
    ("berlin", [1.0, 1.0, 0.0, 0.0]),
    ("allergic", [0.0, 1.0, 1.0, 0.0]),
    ("rust", [1.0, 0.0, 1.0, 0.0]),
    ("membrane", [-1.0, 0.0, 1.0, 0.0]),
    ("ok", [0.0, -1.0, 0.0, 0.0]),
    ("wetter", [-1.0, 1.0, 0.0, 0.0]),
    ("привет", [-1.0, 0.0, 0.0, 0.0]),
];

/// A field of a protocol buffer that is a number.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// A field of a protocol buffer that is bytes, less than 16 KiB.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    match content.len() {
        length @ 0..128 => out.push(length as u8),
        length => out.extend([length as u8 & 0x7f | 0x80, (length >> 7) as u8]),
    }
    out.extend(content);
    out
}

fn node(inputs: &[&str], output: &str, kind: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut out: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
    out.extend(bytes(2, output.as_bytes()));
    out.extend(bytes(4, kind.as_bytes()));
    out.extend(attributes.iter().flat_map(|attribute| bytes(5, attribute)));
    bytes(1, &out)
}

/// What goes in (field 11) or comes out (12): a tensor of `kind` (1 float, 7 long) whose sizes have these names.
fn value(field: u8, name: &str, kind: u8, sizes: &[&str]) -> Vec<u8> {
    let shape: Vec<u8> = sizes.iter().flat_map(|size| bytes(1, &bytes(2, size.as_bytes()))).collect();
    let tensor = [number(1, kind), bytes(2, &shape)].concat();
    bytes(field, &[bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat())
}

fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    [number(1, 7), bytes(7, &graph.concat()), bytes(8, &[bytes(1, b""), number(2, 11)].concat())].concat()
}

fn files(graph: Vec<u8>) -> Files {
    let words: Vec<String> = (0..).zip(WORDS).map(|(id, (word, _)): (u32, _)| format!("\"{word}\":{id}")).collect();
    let tokenizer = format!(
        "{{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":{{\"type\":\"Lowercase\"}},\
         \"pre_tokenizer\":{{\"type\":\"Whitespace\"}},\"post_processor\":null,\"decoder\":null,\
         \"model\":{{\"type\":\"WordLevel\",\"vocab\":{{{}}},\"unk_token\":\"[UNK]\"}}}}\n",
        words.join(",")
    );
    [
        ("model.onnx", graph),
        ("tokenizer.json", tokenizer.into_bytes()),
        ("config.json", b"{\"pad_token_id\":0}\n".to_vec()),
        ("tokenizer_config.json", b"{\"model_max_length\":64,\"pad_token\":\"[PAD]\"}\n".to_vec()),
    ]
}

/// A sentence transformer: looks up the vector of each token; `fastembed` takes the mean of a text's.
pub fn embedder() -> Files {
    let numbers: Vec<u8> = WORDS.iter().flat_map(|(_, vector)| vector.iter().flat_map(|x| x.to_le_bytes())).collect();
    let sizes = [number(1, WORDS.len() as u8), number(1, 4)].concat();
    let table = [sizes, number(2, 1), bytes(8, b"table"), bytes(9, &numbers)].concat();
    files(model(&[
        node(&["input_ids", "attention_mask"], "read", "Mul", &[]),
        node(&["table", "read"], "last_hidden_state", "Gather", &[]),
        bytes(2, b"look up"),
        bytes(5, &table),
        value(11, "input_ids", 7, &["texts", "tokens"]),
        value(11, "attention_mask", 7, &["texts", "tokens"]),
        value(12, "last_hidden_state", 1, &["texts", "tokens", "numbers"]),
    ]))
}

/// A cross-encoder: the score of a question and a text is the sum of the ids of their tokens.
pub fn reranker() -> Files {
    let to_float = [bytes(1, b"to"), number(3, 1), vec![0xa0, 0x01, 2]].concat();
    let axes = [bytes(1, b"axes"), number(8, 1), vec![0xa0, 0x01, 7]].concat();
    files(model(&[
        node(&["input_ids", "attention_mask"], "read", "Mul", &[]),
        node(&["read"], "floats", "Cast", &[to_float]),
        node(&["floats"], "logits", "ReduceSum", &[axes]),
        bytes(2, b"sum"),
        value(11, "input_ids", 7, &["texts", "tokens"]),
        value(11, "attention_mask", 7, &["texts", "tokens"]),
        value(12, "logits", 1, &["texts", "score"]),
    ]))
}
