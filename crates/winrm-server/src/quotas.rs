//! How much a client may ask for.

use std::time::Duration;

/// The service's limits. [`Quotas::default`] is what a Windows host of today comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quotas {
    /// The largest envelope that is taken or sent, in kilobytes of 1,024 bytes. Default 500.
    pub max_envelope_size_kb: u32,
    /// Shells that one user may have open. Default 2,147,483,647, no limit, as since Windows Server 2016; 30 before.
    pub max_shells_per_user: u32,
    /// Commands that may run in one shell at once. Default 2,147,483,647; 25 before Windows Server 2016.
    pub max_processes_per_shell: u32,
    /// Operations that one user may have at once: commands that were not yet terminated, and requests under way. Default 1,500.
    pub max_concurrent_operations_per_user: u32,
    /// Users that may have shells open at once. Default 2,147,483,647, no limit, as since Windows Server 2016.
    pub max_concurrent_users: u32,
    /// Instances that one answer holds at most, whatever the client asks for. Default 32,000.
    pub max_batch_items: u32,
    /// How long a list of instances waits for its next Pull. Default 4 minutes.
    pub enumeration_timeout: Duration,
    /// Connections that are taken at once; further ones are answered 503. Default 300.
    pub max_connections: u32,
    /// How long a shell may be without a request where the client asked for no time of its own. Default 2 hours.
    pub idle_timeout: Duration,
    /// The longest idle timeout that a client may ask for. Default 2,147,483,647 ms.
    pub max_idle_timeout: Duration,
    /// The longest operation timeout; longer ones are cut to it. Default 60 seconds.
    pub max_timeout: Duration,
    /// The size of a request's head, in bytes. Default 128 KiB: a Kerberos ticket with many groups takes 64.
    pub max_header_size: usize,
    /// The number of a request's header fields. Default 64.
    pub max_headers: usize,
    /// How long a TLS handshake may take. Default 30 seconds.
    pub handshake_timeout: Duration,
    /// How long a request's head may take from its first byte to its last. Default 30 seconds.
    pub header_timeout: Duration,
    /// How long a request's body may take. Default 120 seconds.
    pub body_timeout: Duration,
    /// How long an answer may stand still because the client takes nothing of it. Default 60 seconds.
    pub write_timeout: Duration,
    /// How long a connection may stay open between two requests. Default 120 seconds, that of http.sys.
    pub keep_alive_timeout: Duration,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            max_envelope_size_kb: 500,
            max_shells_per_user: i32::MAX.cast_unsigned(),
            max_processes_per_shell: i32::MAX.cast_unsigned(),
            max_concurrent_operations_per_user: 1_500,
            max_concurrent_users: i32::MAX.cast_unsigned(),
            max_batch_items: 32_000,
            enumeration_timeout: Duration::from_secs(240),
            max_connections: 300,
            idle_timeout: Duration::from_secs(7_200),
            max_idle_timeout: Duration::from_millis(2_147_483_647),
            max_timeout: Duration::from_secs(60),
            max_header_size: 128 * 1_024,
            max_headers: 64,
            handshake_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(60),
            keep_alive_timeout: Duration::from_secs(120),
        }
    }
}

impl Quotas {
    /// The largest envelope in bytes.
    pub(crate) fn max_envelope_bytes(&self) -> usize {
        usize::try_from(self.max_envelope_size_kb)
            .unwrap_or(usize::MAX)
            .saturating_mul(1_024)
    }
}
