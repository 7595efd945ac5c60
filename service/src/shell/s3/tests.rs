//! A storage on loopback that checks every signature, and what becomes of files when it has trouble.

mod double;

use std::convert::Infallible;

use axum::body::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sampan::model::AppId;

use self::double::{Double, KEY, KEY_ID, Trouble};
use super::incoming::PART_BYTES;
use super::*;
use crate::files::tests::{holds, keeps};
use crate::files::{FileId, Files, Part};
use crate::shell::clock::SystemEntropy;

fn options(endpoint: &str) -> S3Options {
    S3Options {
        endpoint: endpoint.to_owned(),
        bucket: "pictures".to_owned(),
        region: "eu-central-1".to_owned(),
        key_id: KEY_ID.to_owned(),
        key: Secret::new(KEY),
        bucket_in_host: false,
    }
}

fn store(double: &Double) -> S3Files {
    S3Files::new(&options(&double.url()), Clock::start()).unwrap()
}

fn app() -> AppFolder {
    AppFolder::of(&AppId::new("app").unwrap())
}

fn name(file: u8, part: Part) -> BlobName {
    BlobName {
        app: app(),
        file: FileId::from_random([file; 12]),
        part,
    }
}

async fn write(store: &S3Files, name: BlobName, bytes: &[u8]) -> Result<(), StoreError> {
    let mut incoming = store.create(name).await?;
    for piece in bytes.chunks(1 << 20) {
        incoming.write(Bytes::copy_from_slice(piece)).await?;
    }
    incoming.finish().await
}

async fn read(
    store: &S3Files,
    name: BlobName,
    range: Range<u64>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(bytes) = store.read(name, range).await? else {
        return Ok(None);
    };
    let pieces: Vec<Bytes> = bytes.try_collect().await?;
    Ok(Some(pieces.concat()))
}

#[tokio::test]
async fn a_storage_that_speaks_s3_is_a_store() {
    let double = Double::start().await;
    holds(&store(&double)).await;
    double.is_content();
}

#[tokio::test]
async fn the_rules_above_a_store_hold_on_it() {
    let double = Double::start().await;
    keeps(Files::new(
        Box::new(store(&double)),
        Box::new(SystemEntropy),
    ))
    .await;
    double.is_content();
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_one_that_breaks_off_leaves_none() {
    let double = Double::start().await;
    let store = store(&double);
    let long: Vec<u8> = (0..2 * PART_BYTES + 5)
        .map(|it| it.to_le_bytes()[1])
        .collect();
    write(&store, name(1, Part::Bytes(1)), &long).await.unwrap();
    assert_eq!(double.lock().parts, 3);
    let end = u64::try_from(long.len()).unwrap();
    let border = u64::try_from(PART_BYTES).unwrap() - 2;
    let across = read(&store, name(1, Part::Bytes(1)), border..border + 4)
        .await
        .unwrap();
    assert_eq!(across.as_deref(), long.get(PART_BYTES - 2..PART_BYTES + 2));
    let whole = read(&store, name(1, Part::Bytes(1)), 0..end).await.unwrap();
    assert!(whole.is_some_and(|it| it == long));

    let mut half = store.create(name(2, Part::Bytes(1))).await.unwrap();
    half.write(Bytes::from(vec![1; PART_BYTES])).await.unwrap();
    assert_eq!(double.lock().uploads.len(), 1);
    drop(half);
    double.no_upload_is_left().await;
    assert_eq!(
        read(&store, name(2, Part::Bytes(1)), 0..1).await.unwrap(),
        None
    );
    double.is_content();
}

#[tokio::test]
async fn an_end_of_parts_that_the_storage_takes_back_is_no_end() {
    let double = Double::start().await;
    let store = store(&double);
    double.lock().trouble = Some(Trouble::TakesEndsBack);
    let long = vec![7; PART_BYTES + 1];
    let error = write(&store, name(1, Part::Bytes(1)), &long)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
    double.no_upload_is_left().await;
}

#[tokio::test]
async fn trouble_of_the_storage_is_an_error_and_never_an_absent_or_shorter_file() {
    let double = Double::start().await;
    let store = store(&double);
    let (bytes, record) = (name(1, Part::Bytes(1)), name(1, Part::Record));
    write(&store, bytes, b"0123456789").await.unwrap();
    assert!(
        store
            .claim(record, Bytes::from_static(b"{}"))
            .await
            .unwrap()
    );
    for trouble in [Trouble::Busy, Trouble::Hangs] {
        double.lock().trouble = Some(trouble);
        assert!(read(&store, bytes, 0..10).await.is_err(), "{trouble:?}");
        assert!(store.read_small(record).await.is_err());
        assert!(store.claim(record, Bytes::new()).await.is_err());
        assert!(store.remove(record).await.is_err());
        assert!(store.usage(app()).await.is_err());
        assert!(write(&store, name(2, Part::Bytes(1)), b"x").await.is_err());
    }
    // A body that ends before its length, an object that is shorter than its record, a storage without ranges.
    double.lock().trouble = Some(Trouble::CutsBodies);
    assert!(read(&store, bytes, 0..10).await.is_err());
    double.lock().trouble = None;
    assert!(read(&store, bytes, 0..11).await.is_err());
    assert!(read(&store, bytes, 10..12).await.is_err());
    double.lock().trouble = Some(Trouble::KnowsNoRanges);
    assert!(read(&store, bytes, 2..5).await.is_err());
    assert_eq!(
        read(&store, bytes, 0..10).await.unwrap().as_deref(),
        Some(&b"0123456789"[..])
    );
    double.lock().trouble = None;
    assert_eq!(
        read(&store, bytes, 2..5).await.unwrap().as_deref(),
        Some(&b"234"[..])
    );
}

#[tokio::test]
async fn a_storage_that_is_busy_once_is_asked_again_and_a_claim_is_made_once() {
    let double = Double::start().await;
    let store = store(&double);
    let (bytes, record) = (name(1, Part::Bytes(1)), name(1, Part::Record));
    let busy = || double.lock().trouble = Some(Trouble::BusyOnce);
    busy();
    write(&store, bytes, b"0123456789").await.unwrap();
    busy();
    assert!(read(&store, bytes, 0..10).await.unwrap().is_some());
    busy();
    assert!(
        store
            .claim(record, Bytes::from_static(b"{}"))
            .await
            .is_err()
    );
    assert!(
        store
            .claim(record, Bytes::from_static(b"{}"))
            .await
            .unwrap()
    );
    busy();
    assert_eq!(store.usage(app()).await.unwrap(), 12);
    busy();
    assert!(store.remove(record).await.unwrap());
    assert_eq!(double.lock().objects.len(), 1);
}

#[tokio::test]
async fn a_record_that_was_written_though_its_answer_was_lost_is_taken_back() {
    let double = Double::start().await;
    let files = Files::new(Box::new(store(&double)), Box::new(SystemEntropy));
    let id = files.new_id();
    let record = crate::files::tests::record(id);
    let bytes = || stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"abc"))]).boxed();
    double.lock().trouble = Some(Trouble::LosesAnswerOfRecord);
    let kept = files
        .keep(
            app(),
            record.clone(),
            crate::files::tests::NO_BOUNDS,
            bytes(),
        )
        .await;
    assert!(kept.is_err());
    double.lock().trouble = None;
    assert!(files.record(app(), id).await.unwrap().is_none());
    assert!(double.lock().objects.is_empty());
    let kept = files
        .keep(app(), record, crate::files::tests::NO_BOUNDS, bytes())
        .await;
    assert_eq!(kept.unwrap().size, 3);
}

#[tokio::test]
async fn bytes_that_no_record_names_are_taken_away_once_they_are_old() {
    let double = Double::start().await;
    let store = store(&double);
    for file in 1..=4 {
        write(&store, name(file, Part::Bytes(1)), b"bytes")
            .await
            .unwrap();
    }
    write(&store, name(1, Part::Bytes(2)), b"again")
        .await
        .unwrap();
    assert!(
        store
            .claim(name(1, Part::Record), Bytes::from_static(b"{}"))
            .await
            .unwrap()
    );
    assert!(
        store
            .claim(name(4, Part::Record), Bytes::from_static(b"{}"))
            .await
            .unwrap()
    );
    double.lock().age(|key| !key.contains("030303"));
    assert_eq!(store.usage(app()).await.unwrap(), 5 + 5 + 2 + 5 + 5 + 2);
    assert_eq!(
        read(&store, name(2, Part::Bytes(1)), 0..1).await.unwrap(),
        None
    );
    for file in [1, 3, 4] {
        let there = read(&store, name(file, Part::Bytes(1)), 0..1)
            .await
            .unwrap();
        assert!(there.is_some(), "{file}");
    }
    double.is_content();
}

#[tokio::test]
async fn a_storage_is_tried_at_the_start() {
    let double = Double::start().await;
    store(&double).check().await.unwrap();
    assert!(double.lock().objects.is_empty(), "nothing is left of it");
    double.lock().trouble = Some(Trouble::Overwrites);
    let overwrites = store(&double).check().await;
    assert!(
        matches!(overwrites, Err(S3Error::Overwrites)),
        "{overwrites:?}"
    );
    // A storage that has trouble now, or that is not there, may be there later.
    double.lock().trouble = Some(Trouble::Busy);
    store(&double).check().await.unwrap();
    let nowhere = S3Files::new(&options("http://127.0.0.1:1"), Clock::start()).unwrap();
    nowhere.check().await.unwrap();
    double.lock().trouble = None;
    let wrong = S3Options {
        key: Secret::new("wrong"),
        ..options(&double.url())
    };
    let refused = S3Files::new(&wrong, Clock::start()).unwrap().check().await;
    let Err(S3Error::Refused(error)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        error.to_string().contains("SignatureDoesNotMatch"),
        "{error}"
    );
    for endpoint in ["", "ftp://host", "no url"] {
        let error = S3Files::new(&options(endpoint), Clock::start()).unwrap_err();
        assert!(matches!(error, S3Error::Address(_)), "{endpoint}");
    }
}

#[tokio::test]
async fn services_that_start_at_once_try_the_storage_under_different_names() {
    let double = Double::start().await;
    for _ in 0..2 {
        store(&double).check().await.unwrap();
    }
    let claimed = double.lock().claimed.clone();
    let [one, one_again, other, other_again] = claimed.as_slice() else {
        panic!("{claimed:?}");
    };
    assert_eq!((one, other), (one_again, other_again));
    assert_ne!(one, other);
    assert!(double.lock().objects.is_empty(), "nothing is left of it");
}
