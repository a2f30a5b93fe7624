-- What an app is for, in the words of the people who look after it.
ALTER TABLE apps ADD COLUMN description TEXT CHECK (length(description) <= 500);
