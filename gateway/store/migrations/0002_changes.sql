CREATE FUNCTION "thimble_function_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('thimble_changes', coalesce(NEW."name", OLD."name"));
	RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "function_changed" AFTER INSERT OR UPDATE OR DELETE ON "functions" FOR EACH ROW EXECUTE FUNCTION "thimble_function_changed"();--> statement-breakpoint
CREATE FUNCTION "thimble_key_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('thimble_changes', '');
	RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "key_made" AFTER INSERT OR DELETE ON "api_keys" FOR EACH ROW EXECUTE FUNCTION "thimble_key_changed"();--> statement-breakpoint
CREATE TRIGGER "key_revoked" AFTER UPDATE OF "revoked_at" ON "api_keys" FOR EACH ROW EXECUTE FUNCTION "thimble_key_changed"();
