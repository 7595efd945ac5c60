// Contents of messages as plain JSON: made into the SDK's classes, and read from them.

import storage from 'leancloud-storage';

/** The classes of a person's SDK by the names that the tests use. Files come last: pictures, sounds and films are files. */
function classes({ sdk, device: { typed, Order } }) {
  const { ImageMessage, AudioMessage, VideoMessage, LocationMessage, FileMessage } = typed;
  return {
    text: sdk.TextMessage, image: ImageMessage, audio: AudioMessage, video: VideoMessage, location: LocationMessage,
    recalled: sdk.RecalledMessage, order: Order, binary: sdk.BinaryMessage, file: FileMessage,
  };
}

/** Makes an app's own type of message, number 12, known to a person's device. */
export function registered({ sdk, device }) {
  class Order extends sdk.TypedMessage {}
  sdk.messageType(12)(Order);
  sdk.messageField(['item', 'count'])(Order);
  device.realtime.register(Order);
  device.Order = Order;
}

function fileOf({ objectId, url, name, metaData }) {
  const file = storage.File.createWithoutData(objectId);
  Object.assign(file, { _url: url, _metaData: { ...metaData }, _name: name });
  file.attributes = { ...file.attributes, url, name, metaData: file._metaData };
  return file;
}

/** The SDK's message of a description. */
export function contentOf(person, { kind, text, attributes, mentions, mentionAll, ...rest }) {
  const Kind = classes(person)[kind] ?? person.sdk.Message;
  let message;
  if (rest.file) message = new Kind(fileOf(rest.file));
  else if (kind === 'location') message = new Kind(new storage.GeoPoint(rest.latitude, rest.longitude));
  else if (kind === 'binary') message = new Kind(Uint8Array.from(rest.bytes).buffer);
  else if (kind === 'plain') message = new Kind(rest.content);
  else message = new Kind(text);
  if (kind === 'order') Object.assign(message, { item: rest.item, count: rest.count });
  if (text !== undefined && kind !== 'plain') message.setText(text);
  if (attributes) message.setAttributes(attributes);
  if (mentions) message.setMentionList(mentions);
  if (mentionAll) message.mentionAll();
  return message;
}

/** A message as the SDK shows it. */
export function described(person, message) {
  const found = Object.entries(classes(person)).find(([, Kind]) => message instanceof Kind);
  const kind = found?.[0] ?? (message instanceof person.sdk.TypedMessage ? 'typed' : 'plain');
  const file = message.getFile?.();
  const place = message.getLocation?.();
  return {
    kind,
    id: message.id,
    from: message.from,
    text: message.getText?.(),
    attributes: message.getAttributes?.(),
    file: file && { objectId: file.id, url: file.url(), name: file.name(), metaData: file.metaData() },
    place: place && { latitude: place.latitude, longitude: place.longitude },
    order: kind === 'order' ? { item: message.item, count: message.count } : undefined,
    bytes: message.buffer && Array.from(new Uint8Array(message.buffer)),
    content: ['plain', 'typed'].includes(kind) ? message.content : undefined,
    mentions: message.mentionList,
    mentioned: message.mentioned,
    mentionedAll: message.mentionedAll === true,
  };
}
