CREATE TABLE "api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"scopes" jsonb NOT NULL,
	"function_name" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	CONSTRAINT "api_keys_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "audit_log" (
	"id" uuid PRIMARY KEY NOT NULL,
	"timestamp" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"address" text,
	"action" text NOT NULL,
	"function_name" text,
	"status" integer NOT NULL,
	"error_code" text,
	"request_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "function_secrets" (
	"function_id" uuid NOT NULL,
	"key" text NOT NULL,
	"sealed" text NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "function_secrets_function_id_key_pk" PRIMARY KEY("function_id","key")
);
--> statement-breakpoint
ALTER TABLE "function_invocations" ADD COLUMN "database_ms" double precision;--> statement-breakpoint
ALTER TABLE "function_invocations" ADD COLUMN "kill_reason" text;--> statement-breakpoint
ALTER TABLE "function_invocations" ADD COLUMN "trace_id" text;--> statement-breakpoint
ALTER TABLE "functions" ADD COLUMN "revision" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "functions" ADD COLUMN "traffic" jsonb;--> statement-breakpoint
ALTER TABLE "functions" ADD COLUMN "key_required" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "function_secrets" ADD CONSTRAINT "function_secrets_function_id_functions_id_fk" FOREIGN KEY ("function_id") REFERENCES "public"."functions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_log_timestamp" ON "audit_log" USING btree ("timestamp");--> statement-breakpoint
CREATE INDEX "audit_log_function_timestamp" ON "audit_log" USING btree ("function_name","timestamp");