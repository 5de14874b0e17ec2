//! Credentials in a request's headers: a bearer token (RFC 6750), a user's name and password (RFC 7617).

use alloc::format;
use alloc::string::String;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::error::BuildError;

/// The value of `Authorization` that bears this token.
pub(crate) fn bearer(token: &str) -> Result<String, BuildError> {
    // RFC 6750 section 2.1 has fewer characters. Tokens in use have others, but none that ends them.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BuildError::InvalidToken);
    }
    Ok(format!("Bearer {token}"))
}

/// The value of `Authorization`, or of `Proxy-Authorization`, with a user's name and password in UTF-8.
pub(crate) fn basic(user: &str, password: &str) -> Result<String, BuildError> {
    // "a user-id containing a colon character is invalid, as the first colon in a user-pass string separates user-id and
    // password from one another" (RFC 7617 section 2), "The user-id and password MUST NOT contain any control characters"
    // (RFC 7617 section 2).
    if user.contains(':') || user.contains(char::is_control) || password.contains(char::is_control) {
        return Err(BuildError::InvalidUser);
    }
    let user_pass = format!("{user}:{password}");
    Ok(format!("Basic {}", Base64Display::new(user_pass.as_bytes(), &STANDARD)))
}
