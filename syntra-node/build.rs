//! Links against the symbols that Node gives.

fn main() {
    napi_build::setup();
}
