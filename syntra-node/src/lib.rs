//! The native half of the npm package `syntra`: an engine that takes and gives JSON. Everything a user sees is written in TypeScript over
//! it, in `ts/`.

pub mod engine;
mod host;
