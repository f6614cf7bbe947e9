//! Runnable programs over the library, one file each; see `README.md`.
