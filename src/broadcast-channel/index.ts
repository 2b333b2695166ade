export { type BroadcastChannelOptions, broadcastChannel } from './broadcast-channel.ts'
