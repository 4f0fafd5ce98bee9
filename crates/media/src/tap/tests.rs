mod codecs;
mod layers;
mod packets;
mod sender;
mod stories;
