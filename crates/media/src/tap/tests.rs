mod codecs;
mod fuzz;
mod hour;
mod layers;
mod packets;
mod property;
mod sender;
mod stories;
