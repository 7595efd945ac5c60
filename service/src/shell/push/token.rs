//! Tokens by which the service proves its identity to a vendor: signed JSON (JWT), with ring.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A key that signs tokens.
pub(super) enum SigningKey {
    /// The kind of key that Apple gives out.
    Es256(Box<EcdsaKeyPair>),
    /// The kind of key that Google gives out.
    Rs256(Box<RsaKeyPair>),
}

/// A key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is not one of the expected kind in PEM (PKCS #8)")]
pub(super) struct WrongKey;

impl SigningKey {
    /// Reads a key of the curve P-256.
    pub(super) fn es256(pem: &[u8]) -> Result<Self, WrongKey> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| WrongKey)?;
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(kind, key.secret_pkcs8_der(), &SystemRandom::new());
        key.map(|it| Self::Es256(Box::new(it)))
            .map_err(|_| WrongKey)
    }

    /// Reads an RSA key.
    pub(super) fn rs256(pem: &[u8]) -> Result<Self, WrongKey> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| WrongKey)?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der());
        key.map(|it| Self::Rs256(Box::new(it)))
            .map_err(|_| WrongKey)
    }

    /// A token with these claims, made with the key of this id.
    pub(super) fn token(&self, key_id: &str, claims: &Value) -> Result<String, WrongKey> {
        let algorithm = match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        };
        let header = json!({ "alg": algorithm, "kid": key_id, "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Es256(key) => {
                let made = key.sign(&random, signed.as_bytes()).map_err(|_| WrongKey)?;
                made.as_ref().to_vec()
            }
            Self::Rs256(key) => {
                let mut made = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut made)
                    .map_err(|_| WrongKey)?;
                made
            }
        };
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    #[test]
    fn a_token_is_signed_by_its_key() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = SigningKey::es256(pair.serialize_pem().as_bytes()).unwrap();
        let token = key.token("K1", &json!({"iss": "T1", "iat": 5})).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(
            read(header),
            json!({"alg": "ES256", "kid": "K1", "typ": "JWT"})
        );
        assert_eq!(read(claims), json!({"iss": "T1", "iat": 5}));
        let SigningKey::Es256(own) = &key else {
            panic!("a key of the curve");
        };
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, own.public_key().as_ref());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
        let other =
            SigningKey::es256(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert_eq!(other.err(), Some(WrongKey));
        assert_eq!(
            SigningKey::rs256(pair.serialize_pem().as_bytes()).err(),
            Some(WrongKey)
        );
    }
}
