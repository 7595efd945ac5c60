//! The upload of bytes: one request for a small file, parts for a large one.

use std::sync::Arc;

use axum::body::Bytes;
use futures_util::FutureExt as _;
use hyper::{Method, StatusCode};
use rusty_s3::actions::CreateMultipartUpload;

use super::call::Refused;
use super::{Desk, unreadable};
use crate::files::{Incoming, Later, StoreError};

/// The bytes of a part, which wait in memory before they leave. A storage takes no smaller part but the last, and
/// 10,000 parts: 80 GB, far above the largest file that settings allow.
pub(super) const PART_BYTES: usize = 8 << 20;

/// Bytes on their way into the storage.
pub(super) struct S3Incoming {
    desk: Arc<Desk>,
    key: String,
    waiting: Vec<u8>,
    /// The upload in parts, once there is more than one part.
    upload: Option<String>,
    etags: Vec<String>,
}

impl S3Incoming {
    pub(super) const fn new(desk: Arc<Desk>, key: String) -> Self {
        Self {
            desk,
            key,
            waiting: Vec::new(),
            upload: None,
            etags: Vec::new(),
        }
    }

    async fn begin(&mut self) -> Result<String, StoreError> {
        if let Some(upload) = &self.upload {
            return Ok(upload.clone());
        }
        let Desk {
            bucket,
            credentials,
            caller,
        } = &*self.desk;
        let url = self
            .desk
            .signed(&bucket.create_multipart_upload(Some(credentials), &self.key));
        let answer = caller
            .call(Method::POST, &url, Vec::new(), Bytes::new())
            .await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refused().await);
        }
        let text = answer.text().await?;
        let begun = CreateMultipartUpload::parse_response(&text)
            .map_err(|error| unreadable("the begin of an upload", &error))?;
        let upload = begun.upload_id().to_owned();
        self.upload = Some(upload.clone());
        Ok(upload)
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let upload = self.begin().await?;
        let bytes = Bytes::from(std::mem::take(&mut self.waiting));
        let number = u16::try_from(self.etags.len() + 1).unwrap_or(u16::MAX);
        let Desk {
            bucket,
            credentials,
            caller,
        } = &*self.desk;
        let part = bucket.upload_part(Some(credentials), &self.key, number, &upload);
        let url = self.desk.signed(&part);
        let answer = caller
            .call_again(Method::PUT, &url, Vec::new(), bytes)
            .await?;
        match (answer.status, answer.etag()) {
            (StatusCode::OK, Some(etag)) => {
                self.etags.push(etag);
                Ok(())
            }
            _ => Err(answer.refused().await),
        }
    }

    async fn complete(&mut self, upload: &str) -> Result<(), StoreError> {
        if !self.waiting.is_empty() {
            self.send_part().await?;
        }
        let Desk {
            bucket,
            credentials,
            caller,
        } = &*self.desk;
        let etags = self.etags.iter().map(String::as_str);
        let complete =
            bucket.complete_multipart_upload(Some(credentials), &self.key, upload, etags);
        let url = self.desk.signed(&complete);
        let body = Bytes::from(complete.body());
        let answer = caller.call(Method::POST, &url, Vec::new(), body).await?;
        let status = answer.status;
        if status != StatusCode::OK {
            return Err(answer.refused().await);
        }
        // The storage answers 200 before it is sure; the body says how it ended.
        let text = answer.text().await?;
        match root(&text) {
            Some(name) if name.starts_with("CompleteMultipartUpload") => Ok(()),
            _ => Err(Refused::of(status, &text)),
        }
    }

    async fn end(&mut self) -> Result<(), StoreError> {
        if let Some(upload) = self.upload.clone() {
            self.complete(&upload).await?;
            self.upload = None;
            return Ok(());
        }
        let bytes = Bytes::from(std::mem::take(&mut self.waiting));
        let answer = self.desk.put(&self.key, bytes, false).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(answer.refused().await),
        }
    }
}

/// The name of the outermost element. Storages differ in the elements within it.
fn root(xml: &str) -> Option<&str> {
    let mut elements = xml.split('<').skip(1);
    let root = elements.find(|it| it.starts_with(|first: char| first.is_ascii_alphabetic()))?;
    root.split(|one: char| !one.is_ascii_alphanumeric()).next()
}

impl Incoming for S3Incoming {
    fn write(&mut self, bytes: Bytes) -> Later<'_, ()> {
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() < PART_BYTES {
            return futures_util::future::ready(Ok(())).boxed();
        }
        self.send_part().boxed()
    }

    fn finish(mut self: Box<Self>) -> Later<'static, ()> {
        async move { self.end().await }.boxed()
    }
}

impl Drop for S3Incoming {
    /// Parts of an upload that does not end take room in the storage, and nobody sees them.
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (desk, key) = (Arc::clone(&self.desk), std::mem::take(&mut self.key));
        runtime.spawn(async move {
            let abort =
                desk.bucket
                    .abort_multipart_upload(Some(&desk.credentials), &key, &upload);
            let url = desk.signed(&abort);
            let answer = desk
                .caller
                .call(Method::DELETE, &url, Vec::new(), Bytes::new())
                .await;
            if let Err(error) = answer {
                tracing::warn!(%error, "parts of an upload that broke off stay in the storage of files");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_element_tells_how_an_upload_in_parts_ended() {
        let result =
            "<?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult xmlns=\"x\"><Key>k</Key>";
        assert_eq!(root(result), Some("CompleteMultipartUploadResult"));
        assert_eq!(
            root("<!-- a --><Error><Code>InternalError</Code></Error>"),
            Some("Error")
        );
        assert_eq!(root(""), None);
        assert_eq!(root("it works"), None);
    }
}
