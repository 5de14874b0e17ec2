//! Addresses of brokers.

use async_nats::{ConnectOptions, ServerAddr};

/// The servers that an address names, without what else is in it, which goes into the options: `async-nats` overlooks a user there.
pub(super) fn read(
    url: &str,
    mut options: ConnectOptions,
) -> Result<(Vec<ServerAddr>, ConnectOptions), String> {
    let (mut servers, mut user) = (Vec::new(), None);
    for server in url.split(',') {
        let (server, its_user) = read_one(server.trim())?;
        if let Some(its_user) = its_user
            && user.get_or_insert_with(|| its_user.clone()) != &its_user
        {
            return Err("one user is for all servers".into());
        }
        servers.push(server);
    }
    options = match user {
        Some(User { name, password: Some(password) }) => options.user_and_password(name, password),
        Some(User { name: token, password: None }) => options.token(token),
        None => options,
    };
    // Those that a server names later have no scheme of their own.
    if servers.iter().any(ServerAddr::tls_required) {
        options = options.require_tls(true);
    }
    Ok((servers, options))
}

/// Who connects.
#[derive(Clone, Eq, PartialEq)]
struct User {
    /// Without a password, it is a token.
    name: String,
    password: Option<String>,
}

/// A server, and who connects to it.
fn read_one(server: &str) -> Result<(ServerAddr, Option<User>), String> {
    // Nothing that is said may hold a part of the address: it may be the password.
    let address: ServerAddr = server.parse().map_err(|_| "it is no address of a server")?;
    if !matches!(address.scheme(), "nats" | "tls") || address.host().is_empty() {
        return Err("an address of a server is `nats://` or `tls://`, and a host".into());
    }
    let mut url = address.into_inner();
    let user = match (url.username(), url.password()) {
        ("", None) => None,
        (name, password) => Some(User { name: decoded(name)?, password: password.map(decoded).transpose()? }),
    };
    // They do not fail: there is a host.
    let _ = (url.set_username(""), url.set_password(None));
    Ok((ServerAddr::from_url(url).map_err(|_| "it is no address of a server")?, user))
}

/// A part of an address, without its percent-encoding (RFC 3986 section 2.1).
fn decoded(part: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(part.len()), part);
    while let Some((before, after)) = rest.split_once('%') {
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(byte.ok_or("two hexadecimal digits follow each `%`")?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| "a user and a password are UTF-8".into())
}
