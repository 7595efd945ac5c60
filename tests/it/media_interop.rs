//! Pictures between the engine and the official JavaScript SDK, through the files of the service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan::model::{MediaSource, MessageContent, NewMedia};
use serde_json::json;

use crate::interop::Peer;
use crate::place::{Place, in_time};

/// A bitmap of 8 by 4 pixels.
fn picture() -> Vec<u8> {
    let mut bytes =
        b"BM\x96\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x08\0\0\0\x04\0\0\0\x01\0\x18\0".to_vec();
    bytes.extend([0; 24]);
    bytes.extend((0..96).map(|at| at * 2));
    bytes
}

/// S156, S165, S168: a picture that the engine sends is uploaded to the service and read by the SDK, byte by byte; one that
/// the SDK uploads is shown by the engine, downloaded and verified.
#[tokio::test]
async fn a_picture_goes_from_sampan_to_the_javascript_sdk_and_back() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let media = NewMedia {
        name: Some("stripes.bmp".to_owned()),
        caption: Some("from ann".to_owned()),
        ..NewMedia::new(MediaSource::Bytes { data: picture() })
    };
    talk.send_media(media).await.unwrap();
    let seen = js.does("seesPicture", json!({ "text": "from ann" })).await;
    assert_eq!(
        (&seen["size"], &seen["width"]),
        (&json!(picture().len()), &json!(8))
    );
    assert_eq!(seen["base64"], STANDARD.encode(picture()));
    let cid = ann.service_id(&talk).await;
    let bytes: Vec<u8> = (0..70_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let sends = json!({ "cid": cid.as_str(), "base64": STANDARD.encode(&bytes), "name": "x.png", "text": "from js" });
    js.does("sendsPicture", sends).await;
    ann.sees(&cid, &["ann: from ann", "js: from js"]).await;
    let messages = ann.messages(&cid).await;
    let MessageContent::Image { file, .. } = &messages[1].content else {
        panic!("{:?}", messages[1].content);
    };
    let download = ann.client.download(file.clone()).unwrap();
    let path = in_time("the picture", download.file()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}
