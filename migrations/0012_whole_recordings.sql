-- Nothing was missing when its files were last finished. False while they are written: a crash may lose something.
ALTER TABLE recordings ADD COLUMN is_whole BOOLEAN NOT NULL DEFAULT FALSE;
