//! The store over Redis: its scripts, its forms, and the checks of a server.

mod acl;
mod cluster;
mod credentials;
mod declared_keys;
mod demoted;
mod full;
mod locale;
mod lua;
mod maintenance;
mod read_only;
mod reads;
mod rules;
mod sentinel;
mod startup;
mod store;
mod tls;
mod walk;
