//! Ask your own documents with models that run on this machine alone.
