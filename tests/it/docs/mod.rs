//! What the documents say, run as it stands there.

mod backup;
mod commands;
mod jobs;
mod messages;
mod moderation;
mod moving_in;
mod palettes;
mod privacy;
mod security;
