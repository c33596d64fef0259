//! The control socket beside the database: commands that change something go through the running server.
