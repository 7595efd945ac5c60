//! Why the network failed, and how that looks from the roof.

use crate::SampanError;
use crate::model::ConnectionFailure;

/// The reason why a connection or a request failed. No variant carries a URL's query or a frame's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The URL can't be used.
    #[error("unusable URL: {reason}")]
    Address {
        /// The fault of the address.
        reason: &'static str,
    },
    /// The connection would leave this machine unencrypted, and the configuration forbids that.
    #[error("unencrypted connections are allowed to this machine only")]
    Insecure,
    /// The certificates that the app trusts can't be read.
    #[error("trusted certificates: {reason}")]
    Roots {
        /// The fault of the certificates.
        reason: String,
    },
    /// The name is unknown, or nobody listens there.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// The operating system's words.
        reason: String,
    },
    /// The certificate is not trusted, or TLS failed otherwise.
    #[error("TLS failed: {reason}")]
    Tls {
        /// The TLS library's words.
        reason: String,
    },
    /// Somebody answered, or took the connection and hung up, but does not speak the protocol that was
    /// asked for.
    #[error("handshake failed: {reason}")]
    Handshake {
        /// The fault of the handshake.
        reason: String,
    },
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// The open connection broke.
    #[error("connection broken: {reason}")]
    Broken {
        /// The act of the operating system or the peer.
        reason: String,
    },
    /// The peer sent more than it may.
    #[error("too much data: the limit is {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl From<NetError> for SampanError {
    /// An app acts on few of these: its own URL is wrong, or the service is not reachable now.
    fn from(error: NetError) -> Self {
        match error {
            NetError::Address { .. } | NetError::Roots { .. } | NetError::Insecure => {
                Self::InvalidArgument {
                    reason: error.to_string(),
                }
            }
            NetError::TimedOut => Self::TimedOut,
            NetError::Unreachable { .. }
            | NetError::Tls { .. }
            | NetError::Handshake { .. }
            | NetError::Broken { .. }
            | NetError::TooLarge { .. } => Self::NotConnected,
        }
    }
}

impl From<&NetError> for ConnectionFailure {
    fn from(error: &NetError) -> Self {
        let reason = error.to_string();
        match error {
            NetError::TimedOut => Self::TimedOut,
            NetError::Insecure => Self::Insecure,
            NetError::Tls { .. } | NetError::Roots { .. } => Self::Untrusted { reason },
            NetError::Unreachable { .. } | NetError::Broken { .. } => Self::Unreachable { reason },
            NetError::Address { .. } | NetError::Handshake { .. } | NetError::TooLarge { .. } => {
                Self::NotTheService { reason }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_failure_is_retryable_and_a_bad_address_is_not() {
        assert!(SampanError::from(NetError::TimedOut).is_retryable());
        assert!(!SampanError::from(NetError::Insecure).is_retryable());
    }
}
