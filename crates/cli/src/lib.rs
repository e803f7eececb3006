//! The `longtrainer` command.
