"""What results say: intervals, differences and verdicts, with nothing rendered."""
