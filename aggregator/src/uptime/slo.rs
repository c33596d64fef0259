//! The objective: what we aim for, and what is left of its error budget.
