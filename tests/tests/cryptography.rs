//! The cryptography that the process has chosen is the one that TLS uses. A program of its own, for a process chooses once.

use rustls::crypto::{CryptoProvider, ring};
use syntra_core::ErrorKind;
use syntra_core::transport::HttpClient;

#[test]
fn what_the_process_has_installed_is_used_in_place_of_our_own() {
    HttpClient::new().unwrap();
    assert!(CryptoProvider::get_default().is_none(), "the choice is left to the host");
    // One that can do nothing, so that nothing but the use of it explains the error.
    let useless = CryptoProvider { cipher_suites: Vec::new(), ..ring::default_provider() };
    useless.install_default().unwrap();
    let error = HttpClient::new().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("cipher suites"), "{error}");
}
