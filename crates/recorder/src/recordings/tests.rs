mod reader;
mod stories;
