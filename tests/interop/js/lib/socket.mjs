// The WebSocket package, by its CommonJS entry (it has no named exports of its own).

import WebSocket from 'ws';

export const WebSocketServer = WebSocket.Server;
export default WebSocket;
