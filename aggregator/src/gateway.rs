//! The probes' door: mutual TLS, enrolment, ingest, assignments.
