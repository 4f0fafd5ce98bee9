mod sender;
mod stories;
