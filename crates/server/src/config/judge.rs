//! What settings that are valid one by one mean together: contradictions, and risks to warn of.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use switchyard_call_control::GroupsManagedBy;
use switchyard_call_control::auth::{SignIn, is_long_enough};

use crate::config::{Config, ConfigError};
use crate::settings::is_reachable;

/// Checks addresses and ports.
pub(super) fn refuse_contradictions(config: &Config) -> Result<(), ConfigError> {
    let media = &config.media;
    if let Some(last) = media.workers.checked_sub(1).filter(|_| media.port > 0)
        && usize::from(media.port) + last > usize::from(u16::MAX)
    {
        return Err(ConfigError::MediaPorts { port: media.port, workers: media.workers });
    }
    if let Some(nowhere) = media.announced.iter().find(|address| !is_reachable(**address)) {
        return Err(ConfigError::Announced(*nowhere));
    }
    let is_bound = |address: &IpAddr| media.bind.iter().any(|bound| bound.is_ipv4() == address.is_ipv4());
    if let Some(unbound) = media.announced.iter().find(|address| !is_bound(address)) {
        return Err(ConfigError::AnnouncedFamily(*unbound));
    }
    match config.admin {
        Some(admin) if is_same(admin, config.listen) => Err(ConfigError::AdminPort(admin.port())),
        Some(_) | None => Ok(()),
    }
}

/// Whether two TCP listeners would get in each other's way. Port 0 takes any free port.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    // A listener on :: takes IPv4 connections, too (RFC 3493 §5.3).
    let covers = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    let (one, other) = (a.ip(), b.ip());
    a.port() == b.port() && a.port() != 0 && (one == other || covers(one, other) || covers(other, one))
}

/// Checks that the directory of this setting is there, or can be made.
pub(super) fn check_directory(setting: &'static str, path: &Path) -> Result<(), ConfigError> {
    let fault = |reason| ConfigError::Directory { setting, path: path.to_owned(), reason };
    let found = path.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found),
        }
    });
    match found {
        Some(Ok(found)) if !found.is_dir() => Err(fault(io::ErrorKind::NotADirectory.into())),
        Some(Ok(found)) if found.permissions().readonly() => {
            Err(fault(io::ErrorKind::PermissionDenied.into()))
        }
        Some(Err(error)) => Err(fault(error)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// What the server would run with, although it is probably not meant.
pub(super) fn warnings(config: &Config) -> Result<Vec<String>, ConfigError> {
    let mut warnings = short_secrets(config)?;
    let found = exposures(config).into_iter().chain(dead_ends(config)).filter(|(is_so, _)| *is_so);
    warnings.extend(found.map(|(_, text)| text.to_owned()));
    Ok(warnings)
}

/// What others may reach: whether it is so, and what it means.
fn exposures(config: &Config) -> [(bool, &'static str); 3] {
    let proxies = &config.control.trusted_proxies;
    let first = usize::from(config.media.port);
    let media_ports = first..first + config.media.workers;
    [
        (
            !config.listen.ip().is_loopback() && proxies.is_empty(),
            "HOST can be reached from other machines, and TRUSTED_PROXIES names no proxy: without one that speaks \
             https, tokens cross the network in the clear, and browsers give pages no camera",
        ),
        (
            config.admin.is_some_and(|admin| !admin.ip().is_loopback()),
            "ADMIN_HOST can be reached from other machines, and metrics are shown to whoever asks",
        ),
        (
            first > 0 && media_ports.contains(&usize::from(config.listen.port())),
            "PORT is among the media ports: one is TCP and the others UDP, which firewall rules easily mix up",
        ),
    ]
}

/// What people could not do, or not for long: whether it is so, and what it means.
fn dead_ends(config: &Config) -> [(bool, &'static str); 4] {
    let control = &config.control;
    let is_dev = matches!(control.auth.sign_in, SignIn::Dev { .. });
    let is_service = control.groups_managed_by == GroupsManagedBy::Service;
    [
        (
            is_dev && !control.trusted_proxies.is_empty(),
            "TRUSTED_PROXIES names a proxy, but people sign in by name, which ends with the first request through \
             it; set JWT_SECRET or JWKS_URL",
        ),
        (
            is_service && control.auth.service_token.is_none(),
            "nobody can make groups: GROUPS_MANAGED_BY is service, but there is no SERVICE_TOKEN",
        ),
        (
            has_relay(&control.ice_servers.urls) && control.ice_servers.secret.is_none(),
            "TURN_URLS names a TURN server, but without TURN_SECRET clients get no credentials for it",
        ),
        (
            control.rules.ring.is_none() && control.rules.unattached.is_none(),
            "RING_SECONDS and UNATTACHED_SECONDS are both 0: a call that is started over REST and that no device \
             joins keeps its group from another call until somebody ends it, or MAX_CALL_HOURS does",
        ),
    ]
}

/// Whether there is a TURN server among these addresses.
pub(super) fn has_relay(urls: &[String]) -> bool {
    urls.iter().any(|url| url.starts_with("turn"))
}

fn short_secrets(config: &Config) -> Result<Vec<String>, ConfigError> {
    let mut short = config.control.auth.check()?;
    if let Some(secret) = &config.control.ice_servers.secret
        && !is_long_enough(TURN_SECRET, secret)?
    {
        short.push(TURN_SECRET);
    }
    Ok(short.into_iter().map(|name| format!("{name} has less than 32 bytes and may be guessed")).collect())
}

const TURN_SECRET: &str = "TURN_SECRET";
