"""What pages share: layout, style sheet, catalogues (zh, en)."""
