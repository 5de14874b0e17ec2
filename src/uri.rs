//! WebSocket URIs.
/// x
#[derive(Debug)]
pub struct Uri;
/// x
#[derive(Debug)]
pub struct UriError;
